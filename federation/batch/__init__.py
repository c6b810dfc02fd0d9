"""Sealed batches of reports."""
