"""Beam designs: the schemes of the paper, their solvers, certificates and conic references."""
