"""Numba, without what its user has set for other work. `engine` imports this before anything that imports Numba.

Of Numba's own settings, two variables are honoured: NUMBA_CACHE_DIR, the folder of compiled kernels, and
NUMBA_NUM_THREADS. All others, and a .numba_config.yaml, would change the code behind the numbers, or end a run.
Test: test_kernelfiles.
"""

import os
from functools import lru_cache

_HONOURED = ("NUMBA_CACHE_DIR", "NUMBA_NUM_THREADS")
for _name in [name for name in os.environ if name.startswith("NUMBA_") and name not in _HONOURED]:
    del os.environ[_name]
# Vector code is written out (see `lanes`), so LLVM's costlier passes take a fifth of the compile time for nothing.
os.environ["NUMBA_OPT"] = "1"

_here = None
if os.path.lexists(".numba_config.yaml"):  # Numba would read it from the folder that the user happens to be in
    _here = os.open(".", os.O_PATH)
    os.chdir("/")
try:
    from numba.core import config
finally:
    if _here is not None:
        os.fchdir(_here)
        os.close(_here)
if vars(config)["DISABLE_JIT"]:
    raise ImportError("Numba was loaded with NUMBA_DISABLE_JIT=1, which leaves no kernels; import engine before it")
config._config_fname = ""  # nor is it read later, when a variable has changed
config.reload_config()

# Settings that no code hangs on.
_IDLE = ("CACHE_DIR", "NUMBA_NUM_THREADS", "NUMBA_DEFAULT_NUM_THREADS", "GDB_BINARY")


@lru_cache
def settings() -> str:
    """All of Numba's settings that may change what it compiles, as one text."""
    found = {name: value for name, value in vars(config).items() if name.isupper() and name not in _IDLE}
    return repr(sorted((name, repr(value)) for name, value in found.items() if not name.startswith("CUDA")))
