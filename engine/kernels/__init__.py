"""Compiled loops, batch axis first, unchecked: the modules of `engine` stand over them and check."""
