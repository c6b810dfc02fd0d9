"""Statistics of attacks: rates, intervals, and lower bounds on ε."""
