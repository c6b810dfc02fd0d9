"""The intake of batches: keys, checks, verification."""
