"""Prediction tasks: what a model gains from aggregates, and how much of the gain is left under privacy."""
