"""How a run scales, on paper: from a few measured costs to load, utilisation and limits at any number of workers."""

from dataclasses import dataclass
from math import ceil

SHARE = 0.5  # of one core that driver and scheduler may need: the rest is for heartbeats, and for a bad day
OVERHEAD = 0.05  # of a worker's time that commits and waiting may take
CHUNK_SECONDS = 4.0  # what a plan aims at
LONGEST = 60.0  # s; what a lost worker may cost, and a fraction of any time limit of a batch system


@dataclass(frozen=True)
class Costs:
    """What was measured; seconds and bytes."""

    dispatch: float  # driver and scheduler, of one core, for each chunk
    journal: float  # the driver's line in the journal, synced, for each chunk
    gap: float  # what a worker waits at most from one chunk to the next
    shard: float  # a worker's commit: for each shard,
    shard_draw: float  # and for each draw in it
    cube_shard: float  # consolidation: for each shard,
    cube_draw: float  # and for each draw
    design: float  # designing, of one core, for each design
    designs_per_draw: int  # schemes times weights times points of the sweep
    memory: float  # the driver's at the start,
    memory_chunk: float  # and what it keeps of each chunk

    @property
    def driver(self) -> float:
        """Seconds of the driver's time that a chunk costs."""
        return self.dispatch + self.journal

    def commit(self, chunk_seconds: float) -> float:
        """Seconds to commit a chunk of so many seconds' work."""
        return self.shard + self.shard_draw * chunk_seconds / (self.design * self.designs_per_draw)


@dataclass(frozen=True)
class Forecast:
    """What a run of so many workers comes to."""

    chunks: int  # in all; as many shards and inodes
    load: float  # of one core, by driver and scheduler; beyond 1 they cannot keep up
    utilisation: float  # share of the workers' time spent on designs, the last, partly filled round counted in
    seconds: float  # until the last chunk is committed
    saturates_at: float  # workers beyond which more do not help, with these chunks
    memory: float  # of the driver, bytes
    cube_seconds: float  # consolidation, by the driver


def rate(workers: int, period: float, driver: float) -> float:
    """Chunks finished in a second, with a worker's seconds from chunk to chunk, and the driver's for each."""
    return min(workers / period, 1.0 / driver)


def forecast(costs: Costs, workers: int, designs: float, chunk_seconds: float) -> Forecast:
    """Say how a run scales, with chunks of so many seconds of design work.

    A worker's period from chunk to chunk is the chunk, its commit and the gap. If workers load the driver beyond its
    core, it sets the pace; else they do, in rounds of which the last may be partly filled.
    """
    work = designs * costs.design
    chunks = ceil(work / chunk_seconds)
    period = chunk_seconds + costs.commit(chunk_seconds) + costs.gap
    load = workers * costs.driver / period
    seconds = max(ceil(chunks / workers) * period, chunks / rate(workers, period, costs.driver))
    return Forecast(
        chunks=chunks,
        load=load,
        utilisation=work / (workers * seconds),
        seconds=seconds,
        saturates_at=period / costs.driver,
        memory=costs.memory + costs.memory_chunk * chunks,
        cube_seconds=chunks * costs.cube_shard + designs / costs.designs_per_draw * costs.cube_draw,
    )


def smallest_chunk(costs: Costs, workers: int) -> float:
    """Shortest chunk (s) that loads the driver by half a core at most, and a worker with little but designs."""
    return max(workers * costs.driver / SHARE, (costs.shard + costs.gap) / OVERHEAD)


def most_workers(costs: Costs) -> int:
    """Workers that one driver can feed with chunks of a minute; beyond, an array of jobs without a driver."""
    return int(SHARE * LONGEST / costs.driver)
