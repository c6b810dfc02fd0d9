"""What a collection of a million to a billion clients would take: measured costs, a model, and a simulation that checks it.

costs.py              what is measured, as types
pair.py               a leader and a helper with real storage, to be measured
measuring.py          the measurement of batches; closing.py: of what comes after the last one
queueing.py           a queue under arrivals that are log-normal
model.py              bytes, CPU, money and latency from costs, and what saturates first
sharded.py            the real protocol over several shards of each aggregator
shards_simulation.py  the shards in virtual time: queues, the round to the helper, crashes
"""
