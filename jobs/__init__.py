"""What to compute: the job file, its plan, the work of one chunk, and the commands."""
