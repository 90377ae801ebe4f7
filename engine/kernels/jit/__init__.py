"""How kernels are compiled and kept: flags, files, and the number type of eight draws side by side."""
