"""The lab: experiments over simulated fleets, from a configuration to a report.

collect.py   one collection at one of three levels of realism, into a store, beside the truth
"""
