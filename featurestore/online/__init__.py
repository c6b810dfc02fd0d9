"""The online store: the newest row of each key, in RocksDB or Redis, and the blocks that readers map."""
