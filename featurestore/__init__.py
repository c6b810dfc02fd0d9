"""Definitions of federated features, and the store that serves their releases."""
