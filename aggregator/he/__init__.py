"""The leader and the key holder of homomorphic encryption."""
