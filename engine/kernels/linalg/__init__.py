"""Linear algebra of small matrices, written out: of one draw, and of eight draws side by side."""
