"""Pictures: each takes data and gives a `Figure`, a plotly figure with its matplotlib twin."""

from workbench.figures.core import Figure

__all__ = ["Figure"]
