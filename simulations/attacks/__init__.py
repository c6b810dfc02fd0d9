"""Attacks on a collection, and what each protection makes of them."""
