"""Training: joined data sets, and the training, registration and use of models."""
