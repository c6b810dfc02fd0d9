"""The client's side of a collection: what happens on a site, next to the events, before anything leaves it."""
