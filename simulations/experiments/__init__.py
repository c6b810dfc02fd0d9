"""Experiments: configuration, runs, sweeps and their folders."""
