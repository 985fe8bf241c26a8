"""Pictures: each takes data and gives a `Figure`, drawn once by matplotlib; some answer to the pointer by plotly."""

from importlib import import_module
from types import ModuleType

from workbench.figures.core import Figure

__all__ = ["Figure"]
_PARTS = "agreement attribution dose explain explored kg objective spectra tokens training".split()


def __getattr__(name: str) -> ModuleType:
    """The parts that notebooks draw with, imported when they are first asked for."""
    if name not in _PARTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")
