"""`POST /predict/NAME`: its requests and answers, and their description."""
