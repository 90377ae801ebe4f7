"""The signal model: geometry, steering vectors, delays, Fisher information."""
