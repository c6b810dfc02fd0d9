"""The lab: experiments over simulated fleets, from a configuration to a report.

levels/        one collection at one of three levels of realism, into a store, beside the truth
runs/          `covey lab run`: configurations, sweeps, run folders
reports/       values beside the truth, pages, plots; `covey lab report`: named sets of experiments
conf/          the named choices of both
provenance.py  with what something was made; plain.py: what is recorded as JSON
"""
