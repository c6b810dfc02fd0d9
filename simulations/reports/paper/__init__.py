"""`covey lab report`: run a named set of experiments and write one page."""
