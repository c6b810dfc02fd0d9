"""Benchmarks: each file measures Covey and a peer in the same run."""
