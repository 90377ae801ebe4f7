"""The timing studies: `crbatch bench speed` and `crbatch bench antennas`."""
