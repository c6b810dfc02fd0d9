"""Serve models beside their features: one process reads the features of a batch, and runs the model on them."""
