"""Definitions: views, entities, features and services, and everything that follows from them."""
