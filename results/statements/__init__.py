"""The reference paper's statements, judged on a cube."""
