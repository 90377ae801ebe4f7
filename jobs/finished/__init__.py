"""What is done with a finished run: report, checks, comparison."""
