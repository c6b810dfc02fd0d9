"""Simulated fleets: clients, their events, and the arrival times of their sites' answers.

spec.py        the settings of a generated fleet, and their valid ranges
population.py  the generator: heavy-tailed activity, hours and places, churn, clock skew, offline time
values.py      the values of the generated columns, chosen for the views
event_file.py  a fleet from a file of events
arrivals.py    arrival times of answers in virtual time, from a generator or a CSV file
block.py       blocks of some sites, so that a process never holds a whole fleet
"""
