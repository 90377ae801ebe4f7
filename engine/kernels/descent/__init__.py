"""The descent: L-BFGS on factors or powers, along each draw's trade-off curve."""
