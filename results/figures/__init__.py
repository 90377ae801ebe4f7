"""Figures of cubes and benchmarks, by what they show."""
