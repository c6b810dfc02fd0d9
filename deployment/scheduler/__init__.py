"""The coordinator that stays: it plans a collection whenever panes close, and finishes each due pane once."""
