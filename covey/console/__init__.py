"""The console: a page beside the feature server that shows a store and its project, and the typed API that the page calls."""
