"""Between commands and the terminal: progress, answers, signals, streams."""
