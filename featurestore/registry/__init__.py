"""The registry: the views, releases, services and models of a store."""
