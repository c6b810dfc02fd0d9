"""Attacks on a collection, with their defences on and off."""
