"""Clients that lie about their features, and the effect on an aggregate."""
