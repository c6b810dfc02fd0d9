"""The contract that every party signs: plans, the protocol's states, and what a view's noise costs."""
