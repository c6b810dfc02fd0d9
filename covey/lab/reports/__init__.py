"""What comes out of the lab.

values.py     what was released beside what was true, value by value
html.py       the page of a run (run_page.py) and of a sweep (sweep_page.py); page.py: HTML, plots.py: pictures
recorded.py   what a record says, by kind
report.py     `covey lab report`: conf.py: named sets, experiments.py: what they hold, runs.py: the running of them
paper.py      the page of a set, part by part: paper_errors.py, paper_attacks.py, paper_costs.py
"""
