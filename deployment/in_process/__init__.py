"""A run of every role in one process."""
