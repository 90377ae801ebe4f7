"""Where work runs: a Dask cluster by name, and tasks handed to it one window at a time.

The only package that imports Dask, and one that knows nothing of what it runs.
"""
