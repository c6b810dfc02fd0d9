"""The privacy audit: an attacker's distinguishing test against Covey's claims.

worlds.py      two neighbouring worlds through the real chain: events → reports → shares → closed aggregators
chain.py       the steps that a planted fault may replace: the site's, the noise, a repeated collect
coalitions.py  the views of {collector}, {leader + collector} and {helper + collector} as one number a draw. From the numbers
               of both worlds, simulations.attacks.statistics.bounds makes lower bounds on ε, with the sources of the formulas
faults.py      the planted faults, each of which the audit must find
attempts.py    many days through real parties on disk, with freed attempts: the openings, and what each party sees beside them
"""
