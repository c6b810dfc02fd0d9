"""The requests that wait for a model, and the batches that are made of them."""
