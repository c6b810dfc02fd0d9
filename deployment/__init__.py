"""What runs a collection: projects, in-process runs, local processes, the coordinator, and what people inspect."""
