"""Interactive panels for the notebooks: every control can be set by code, every panel has a still face."""

from workbench.panel.masks import MaskPanel

__all__ = ["MaskPanel"]
