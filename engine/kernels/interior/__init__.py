"""Interior-point and Newton methods, for covariances and for powers."""
