"""What a run leaves in its folder, and how it is known that this is whole and up to date.

files       whole or absent, named by digests     origin      the code that ran and the machine
provenance  what a result was made from            stage       kg, adapter, explain, shift: their state
runs        writing and reading a stage            executed    executed copies of the notebooks
parameters  of the notebooks, checked              steps       which notebooks have to run, and why
lock        one folder, one run
"""
