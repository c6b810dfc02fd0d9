"""Ledgers of spent privacy budget."""
