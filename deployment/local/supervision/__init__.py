"""A whole deployment on one machine, as `covey up` starts it: its roles, their restarts, their logs and their state."""
