"""What can go wrong between a task and the place it runs in."""


class ClusterError(RuntimeError):
    """A cluster that could not be started, or that could not finish its work."""
