"""TLS 1.3 between operators: each has a small authority, and every role pins the authorities of its peers."""
