"""The roles as processes of one machine, and the SuperLink."""
