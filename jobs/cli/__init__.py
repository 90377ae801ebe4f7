"""The command line: what is asked for, what is given, and which function does it."""
