"""What a trainer touches: joined data sets, and the training, registration and use of models."""
