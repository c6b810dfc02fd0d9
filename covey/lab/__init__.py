"""The lab: experiments over simulated fleets, from a configuration to a report.

collection.py       what is collected, what a collection leaves behind, and what is refused
collect.py          one collection at one of three levels of realism, into a store, beside the truth
memory_level.py     functions all the way
processes_level.py  aggregators as services
flower_level.py     the same behind a SuperLink
real.py             what these two have in common
"""
