"""The client's side of a collection: what a site does with its events before anything leaves it."""
