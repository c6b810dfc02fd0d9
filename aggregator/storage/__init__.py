"""What an aggregator keeps on disk."""
