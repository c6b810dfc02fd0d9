"""The registry: views, releases, services and models that the store knows."""
