"""The privacy audit: an attacker's distinguishing test against what Covey claims.

worlds.py      two neighbouring worlds through the real chain: events → reports → shares → closed aggregators
chain.py       the steps that a planted fault may replace: the site's, the noise, a repeated collect
coalitions.py  what {collector}, {leader + collector} and {helper + collector} see, as one number a draw; of it, in both
               worlds, simulations.attacks.statistics.bounds makes lower bounds on ε, with the sources of the formulas
faults.py      the planted faults, each of which the audit must find
"""
