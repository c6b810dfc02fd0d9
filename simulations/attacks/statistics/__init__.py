"""What an attack has measured: rates, intervals, and lower bounds on ε."""
