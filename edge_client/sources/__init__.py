"""Where a site's events are, and how they are read there."""
