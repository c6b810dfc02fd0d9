"""The collections for attacks. One process holds every key."""
