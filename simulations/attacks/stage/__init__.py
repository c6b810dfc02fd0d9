"""The collections that attacks are run on, with every key in one hand."""
