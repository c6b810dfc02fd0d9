"""Inspection of costs, ledgers, and releases with their verification."""
