"""`covey lab report`: named sets of experiments as one page."""
