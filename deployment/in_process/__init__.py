"""A run with all roles in one process."""
