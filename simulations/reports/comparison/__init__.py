"""The protections side by side."""
