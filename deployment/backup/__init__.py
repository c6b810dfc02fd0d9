"""A copy of a project or store, made while it is in use, and the way back from it."""
