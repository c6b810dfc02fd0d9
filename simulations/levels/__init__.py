"""The levels of realism at which an experiment collects."""
