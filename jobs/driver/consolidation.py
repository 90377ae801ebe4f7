"""The cube of a run, made of its shards."""

import hashlib
import json
import time

from crbatch.results.cube import write_cube
from crbatch.results.errors import DamagedData as DamagedShard
from crbatch.results.shards import Shard

from ..errors import DamagedData
from ..folder.rundir import RunDirectory
from ..identity import versions
from ..jobfile.schema import JobFile
from ..terminal.progress import Progress

REFERENCE = (
    "Y. Zhang, H. Chen, P. Zheng, B. Ning, H. Wymeersch, T. Y. Al-Naffouri, Optimized Beamforming for Joint "
    "Bistatic Positioning and Monostatic Sensing, IEEE ICC Workshops 2025, doi 10.1109/ICCWorkshops67674.2025.11162149"
)


def consolidate(job: JobFile, folder: RunDirectory, cover: list[tuple[Shard, int, int]], progress: Progress) -> None:
    """Write the cube, and note in the journal what it is.

    Raises DamagedData if a shard is not what its name says.
    """
    started = time.perf_counter()
    with progress.bar("consolidating", job.draws.count) as advance:
        done = 0

        def on_block(stop: int, _: int) -> None:
            nonlocal done
            advance(stop - done)
            done = stop

        try:
            digest = write_cube(cover, folder.cube, job.draws.count, cube_attrs(job), on_block)
        except DamagedShard as error:
            raise DamagedData(f"{error}; run the same command again, which computes it anew") from None
    seconds = round(time.perf_counter() - started, 3)
    folder.journal.write("cube", sha256=digest, job=job.canonical(), seconds=seconds)


def cube_attrs(job: JobFile) -> dict[str, str]:
    """Global attributes of the cube: what was computed, from what, by what."""
    return {
        "Conventions": "CF-1.11",
        "title": f"Cramer-Rao bounds and certified beam designs: {job.name}",
        "source": f"crbatch {versions()['crbatch']}",
        "references": REFERENCE,
        "job": job.canonical(),
        "job_sha256": hashlib.sha256(job.canonical().encode()).hexdigest(),
        "seed": str(job.draws.seed),
        "versions": json.dumps(versions(), sort_keys=True),
    }
