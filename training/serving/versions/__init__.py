"""The versions of models that a server holds, loads and takes up."""
