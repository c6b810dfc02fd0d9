"""A registered model in this process: `covey predict`, and tests."""
