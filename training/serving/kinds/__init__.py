"""The kinds of models that are served, each behind one `Runner`."""
