"""What the processes of a run need of memory, measured, and how many of them fit where.

Measured with all kernels loaded and chunks of 4 s: a worker 276 MB of its own, the driver 280 MB, and 124 MB of
libraries that they share. The numbers are crbatch's, and all that is known here of what a worker runs.
"""

from pydantic import ByteSize, TypeAdapter

from .errors import ClusterError
from .machine import address_space, allowed_memory, usable_memory

MB = 10**6
#: Of a worker's own.
WORKER_BYTES = 300 * MB
#: Of the driver, with the libraries that the workers share with it.
DRIVER_BYTES = 390 * MB
#: Beside the workers of a batch job: the process that starts them, and the shared libraries.
JOB_BYTES = 250 * MB
#: Of the two processes that compile all kernels.
COMPILE_BYTES = 1150 * MB
#: Address space (`ulimit -v`) of a driver with local workers, whose threads and libraries map much and touch little.
ADDRESS_BYTES = 1600 * MB
_AMPLE = 2


def fitting_workers(wanted: int) -> int:
    """Return how many of the wanted worker processes fit into this machine beside the driver.

    Raises ClusterError if none does.
    """
    memory = usable_memory()
    if address_space() < ADDRESS_BYTES:
        raise ClusterError(
            f"no local worker can start: processes may map {size(address_space())} each (ulimit -v), and the driver "
            f"takes {size(ADDRESS_BYTES)}; allow more, or work in this process (--cluster none)"
        )
    fit = (memory - DRIVER_BYTES) // WORKER_BYTES
    if fit < 1:
        raise ClusterError(
            f"no local worker fits: {size(memory)} of memory are allowed here, a worker takes {size(WORKER_BYTES)} "
            f"beside the driver's {size(DRIVER_BYTES)}; allow more, or work in this process (--cluster none)"
        )
    return min(wanted, fit)


def check_compiling() -> None:
    """Refuse to compile where the kernel would end this process for its memory, without a word.

    Raises ClusterError, saying how much it takes.
    """
    if allowed_memory() < COMPILE_BYTES:
        raise ClusterError(
            f"the kernels are not compiled yet, which takes {size(COMPILE_BYTES)} of memory once, and "
            f"{size(allowed_memory())} are allowed here; run `crbatch run smoke` once with more, with NUMBA_CACHE_DIR "
            "naming a folder that is there next time, too"
        )


def memory_limit(workers: int) -> int:
    """Return the bytes at which Dask ends a worker that outgrows its share; 0, for never, where shares are tight.

    There, libraries that are counted in every process alone would end every worker.
    """
    share = (usable_memory() - DRIVER_BYTES) // workers
    return share if share >= _AMPLE * WORKER_BYTES else 0


def job_bytes(workers: int) -> int:
    """Return the bytes that a batch job with so many worker processes needs."""
    return JOB_BYTES + workers * WORKER_BYTES


def parse_size(text: str) -> int:
    """Bytes of a text like "2GB" or "1.5 GiB".

    Raises ValueError if it is none.
    """
    return TypeAdapter(ByteSize).validate_python(text)


def size(count: float) -> str:
    """Bytes for people, in decimal units."""
    return ByteSize(count).human_readable(decimal=True, separator=" ")
