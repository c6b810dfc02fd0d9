"""Taking in batches: keys, checks, verification."""
