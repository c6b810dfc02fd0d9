"""Reports of experiments: pages, plots and tables."""
