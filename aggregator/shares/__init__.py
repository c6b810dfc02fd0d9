"""The two aggregators of additive shares."""
