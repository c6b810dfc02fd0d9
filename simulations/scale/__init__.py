"""Estimate a collection of a million to a billion clients: measured costs, a model, and a simulation that checks it.

costs.py              the measured costs, as types
pair.py               a leader and a helper with real storage, for measurements
measured_costs.py     measures the costs of batches
closing.py            measures the costs after the last batch
queueing.py           a queue with log-normal arrivals
model.py              bytes, CPU, money and latency from costs, and the resource that saturates first
sharded.py            the real protocol over several shards of each aggregator
shards_simulation.py  the shards in virtual time: queues, the round to the helper, crashes
"""
