"""Scores the rows of a file with a registered model, batch by batch."""
