"""A views file as a graph, and back: the graph is derived from the text, and an edit changes only what it is about."""
