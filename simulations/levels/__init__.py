"""The levels of reality at which an experiment collects."""
