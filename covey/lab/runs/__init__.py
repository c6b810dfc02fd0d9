"""`covey lab run`.

schema.py       the types of a configuration; config.py: overrides to one, by Hydra's compose API
views.py        the views that it names
experiment.py   a configuration to a collection or an attack, checked; and the run of it
sweep.py        trees of overrides to a list of runs
running.py      runs and sweeps into folders: folder.py, results.py
ray_workers.py  shards as Ray tasks
"""
