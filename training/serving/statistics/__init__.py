"""What is counted of each version, and how it is shown."""
