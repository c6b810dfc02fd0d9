"""A collection over a fleet of any size: shards do the sites' and the aggregators' work, the parent merges and opens.

    fleet ──blocks──► shard: compute → protect → seal, sign ──bytes──► verify, open → add     at leader and helper
                        │ sums, report ids, of each aggregator                 (one shard of each, by batch)
    parent            merge ──► close ──► noise ──► open ──► releases

work.py      what a shard is asked for and what it gives; it can be sent to another process or machine
shard.py     a block's sites, and a shard of each aggregator that takes their batches
keys.py      the parties' keys, derived, so that nobody has to carry a million of them
watch.py     a stopwatch of the steps
run.py       the whole run
counted.py   the reports that count, in the clear
encrypted.py the whole run under homomorphic encryption
workers.py   processes of this machine
"""
