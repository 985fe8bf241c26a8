"""The report of a run as one page, and what a run tells about itself.

Nothing is imported here: `write` loads what draws formulas and cleans HTML, `lineage` does not.
"""
