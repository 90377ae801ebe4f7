"""The bound of a link and its gradient, from the separable structure of its Fisher information."""
