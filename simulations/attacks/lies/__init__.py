"""Clients that lie about their features, and what that does to an aggregate."""
