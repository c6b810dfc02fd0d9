"""The feature server: reads of the newest releases over HTTP, in Feast's wire format."""
