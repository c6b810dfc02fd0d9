"""The lab: experiments over simulated fleets, from a configuration to a report."""
