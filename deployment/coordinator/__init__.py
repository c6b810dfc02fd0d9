"""The coordinator: it announces plans, carries sealed batches and publishes the result."""
