"""The validity circuit of a view."""
