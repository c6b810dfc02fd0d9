"""What a model takes, and how it is read from the store for a whole batch."""
