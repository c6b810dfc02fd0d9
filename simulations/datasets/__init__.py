"""Public data sets for experiments."""
