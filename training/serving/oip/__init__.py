"""The Open Inference Protocol v2 over HTTP and gRPC, with Triton's extensions: how an unmodified `tritonclient` asks our models."""
