"""A collection over a fleet of any size. Shards run sites and aggregators; the parent process merges and opens.

    fleet ──blocks──► shard: compute → protect → seal, sign ──bytes──► verify, open → add     at leader and helper
                        │ sums, report ids, of each aggregator                 (one shard of each, by batch)
    parent            merge ──► close ──► noise ──► open ──► releases

work.py        the task and the result of a shard; both can be sent to another process or machine
shard.py       the sites of a block, and a shard of each aggregator that accepts their batches
keys.py        the parties' keys, derived from one secret, so that a million keys need not be stored
timed_keys.py  keys that measure the time of signing and verifying
run.py         the whole run
counted.py     the plain reports that count
encrypted.py   the whole run under homomorphic encryption
workers.py     processes of this machine
"""
