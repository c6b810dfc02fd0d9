"""The lab: data sets, simulated fleets and experiments on one machine."""
