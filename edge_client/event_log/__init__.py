"""The event log of a site: a private, crash-safe, bounded file of events."""
