"""Tasks, end to end: what a model gains from aggregates, and how much of it is left at a price of privacy."""
