"""The timing studies: `crbatch bench speed`, `crbatch bench antennas` and `crbatch bench dispatch`."""
