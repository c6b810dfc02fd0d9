"""Simulated fleets: who the clients are, what they do, and when their sites' answers arrive.

spec.py        how a fleet is described, and which descriptions are impossible
population.py  the generator: a heavy tail of activity, days and places, churn, clock skew, offline time
values.py      what the columns of its events hold, to a view's measure
event_file.py  a fleet from a file of events
arrivals.py    traces of the answers in virtual time: a generator or a CSV file
block.py       what all of them give: some sites at a time, so that no fleet is ever held whole
"""
