"""The files of a project: covey.toml, keys, policies and budgets."""
