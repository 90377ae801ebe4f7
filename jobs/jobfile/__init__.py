"""The job file: its sections, what is said of mistakes in it, and the packaged jobs."""
