"""Any schedule of plans, days, views, answers, collects, frees, retries, restores and crashes, against real parties on disk.

parties.py   leader, helper and two sites that die at any write, and copies of their files
account.py   the account kept by hand of what each one opened or reported
plans.py     the plans that are drawn
machine.py   the rules, and what must hold after each of them
faults.py    planted faults, each of which the machine must find
"""
