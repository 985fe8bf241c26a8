"""Pictures: each takes data and gives a `Figure`, drawn once by matplotlib; some answer to the pointer by plotly."""

from workbench import on_demand
from workbench.figures.core import Figure

__all__ = ["Figure"]
# what notebooks draw with
_PARTS = "dose elements explain explored kg learning spectra".split()
__getattr__ = on_demand(__name__, dict.fromkeys(_PARTS, ""))
