"""Prio3 as the draft writes it, slowly (`plain_*`), and the official vectors replayed on every implementation of it."""
