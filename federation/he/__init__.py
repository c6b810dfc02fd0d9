"""The protocol of homomorphic encryption."""
