"""Closing a pane: noise, the exchange of noised shares, and their sealing."""
