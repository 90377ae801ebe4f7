"""What one process, here or a worker, says about itself. It only looks; `judge_machine` judges."""

import os
import platform
import resource
import stat
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import psutil
from crbatch.cluster.doctor import talking_versions
from crbatch.cluster.machine import cpu_model, usable_cores, usable_memory
from crbatch.cluster.threads import THREAD_VARIABLES

from ..identity import code_key, versions

#: File systems that several machines share: the wrong place for a cache, the right one for a run on a cluster.
SHARED = ("afs", "beegfs", "ceph", "cifs", "fuse.sshfs", "glusterfs", "gpfs", "lustre", "nfs", "nfs4", "smb3", "wekafs")


def facts() -> dict[str, Any]:
    """Describe the process that calls this; plain values only.

    Result: host, place (where crbatch is installed), versions, code, pools (threads of every library), environment,
    cpu, target, cores, memory, free_memory, rss, open_files, cache.
    """
    import numpy  # noqa: F401  its BLAS is to be asked for its threads
    import scipy.linalg  # noqa: F401  so is SciPy's own

    return {
        "host": platform.node(),
        "place": str(Path(__file__).resolve().parent.parent.parent),
        "versions": _versions(),
        "code": code_key(),
        "pools": _pools(),
        "environment": {name: os.environ.get(name, "unset") for name in (*THREAD_VARIABLES, "HDF5_USE_FILE_LOCKING")},
        "cpu": cpu_model(),
        "target": _target(),
        "cores": usable_cores(),
        "memory": usable_memory(),
        "free_memory": psutil.virtual_memory().available,
        "rss": psutil.Process().memory_info().rss,
        "open_files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "cache": _cache(),
    }


def _versions() -> dict[str, str]:
    try:
        return versions() | talking_versions()
    except PackageNotFoundError as error:
        return versions() | {str(error.name): "not installed"}


def _pools() -> dict[str, int]:
    import numba
    import threadpoolctl

    # As it is set: to ask Numba itself would start its threads, and from then on it refuses to compile where the
    # variable has changed, as it does around a local cluster.
    found = {"numba": numba.config.NUMBA_NUM_THREADS}  # type: ignore[attr-defined]
    for pool in threadpoolctl.threadpool_info():
        name = f"{pool['internal_api']} ({Path(pool['filepath']).name})"
        found[name] = max(found.get(name, 0), pool["num_threads"])
    return found


def _target() -> str:
    """What Numba compiles for: equal targets, equal bits."""
    from llvmlite import binding

    features = sorted(name for name, there in binding.get_host_cpu_features().items() if there)
    return f"{binding.get_host_cpu_name()}:{','.join(features)}"


def _cache() -> dict[str, Any]:
    from crbatch.engine.warm import cache_folder, cache_trouble, is_compiled

    path, trouble = cache_folder(), cache_trouble()
    return {
        "path": str(path),
        "trouble": trouble,
        "mode": 0 if trouble else stat.S_IMODE(path.stat().st_mode),
        "compiled": is_compiled(),
        "filesystem": filesystem_of(path),
    }


def filesystem_of(path: Path) -> str:
    """Type of the file system that holds a path, as the mount table calls it; empty if it does not say."""
    real = path.resolve()
    mounts = [part for part in psutil.disk_partitions(all=True) if real.is_relative_to(part.mountpoint)]
    mounts.sort(key=lambda part: len(part.mountpoint))  # of several at one place the last is seen
    return mounts[-1].fstype if mounts else ""
