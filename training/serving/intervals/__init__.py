"""Intervals of predictions: how far the noise of releases can have moved them."""
