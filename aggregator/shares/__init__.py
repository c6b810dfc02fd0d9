"""Leader and helper: the two aggregators of additive shares."""
