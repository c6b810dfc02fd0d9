"""Drift: whether a view's newest panes differ from its own past by more than noise and usual variation explain."""
