"""Compare the cost of protections."""
