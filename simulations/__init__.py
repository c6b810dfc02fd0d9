"""Whole runs on one machine: real data sets, fleets and experiments over the packages below."""
