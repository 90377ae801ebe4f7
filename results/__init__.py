"""What comes out: the cube's schema, shards, the consolidated cube, figures and the paper's statements."""

import os

# Files that are written once and renamed need no locks, which some shared file systems do not have. HDF5 looks when
# it is loaded.
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")
