"""Streams: events that a broker sends. A consumer appends them to the site's event log, together with the position of each."""
