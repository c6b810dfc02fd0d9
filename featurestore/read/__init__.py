"""Reads by key: from mapped blocks to arrays and answers."""
