"""`covey deploy`: a model from events to served predictions, in steps that run when their inputs have changed."""
