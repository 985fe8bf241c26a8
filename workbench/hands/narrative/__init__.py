"""What was found, in plain sentences made by template from the figures: nothing here is true of every run.

They say what was done, what it changed, how sure that is and what was not shown. `explained`: explanations, one by one
and over cases; `tried`: what a person took out, and doses and switches set by hand; `shifted`: where an adapter sits.
"""

from importlib import import_module
from types import ModuleType

_PARTS = ("explained", "shifted", "tried")


def __getattr__(name: str) -> ModuleType:
    """Each part is imported when it is first asked for: some stand on torch."""
    if name not in _PARTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")
