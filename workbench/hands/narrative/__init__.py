"""What was found, in plain sentences made by template from the figures: nothing here is true of every run.

They say what was done, what it changed, how sure that is and what was not shown. `explained`: explanations, one by one
and over cases; `tried`: what a person took out, and doses and switches set by hand; `shifted`: where an adapter sits.
"""

from workbench import on_demand

__getattr__ = on_demand(__name__, dict.fromkeys(("explained", "names", "shifted", "tried"), ""))
