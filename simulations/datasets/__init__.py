"""Public data sets of experiments."""
