"""The design problem of one draw as dense linear maps, independent of `bound`: references and checks."""
