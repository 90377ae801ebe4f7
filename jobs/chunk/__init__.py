"""The work of one chunk of draws, here or in a worker: what decides the bytes of a shard."""
