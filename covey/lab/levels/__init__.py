"""One collection at one of three levels of realism.

collection.py  what is collected, what a collection leaves behind, and what is refused
collect.py     the one function
memory.py      functions all the way
processes.py   aggregators as services
flower.py      the same behind Flower's simulation runtime
real.py        what these two have in common
"""
