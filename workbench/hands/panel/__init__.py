"""Interactive panels for the notebooks: every control can be set by code, every panel has a still face."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench import on_demand

if TYPE_CHECKING:
    from workbench.hands.panel.mask_panel import MaskPanel

__all__ = ["MaskPanel"]
__getattr__ = on_demand(
    __name__, {"MaskPanel": "mask_panel"}
)  # it stands on torch, and the panel of the graph does without
