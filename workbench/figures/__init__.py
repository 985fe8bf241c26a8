"""Pictures: each takes data and gives a `Figure`, drawn once by matplotlib; some answer to the pointer by plotly."""

from workbench.figures.core import Figure

__all__ = ["Figure"]
