"""Interactive panels for the notebooks: every control can be set by code, every panel has a still face."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.hands.panel.masks import MaskPanel

__all__ = ["MaskPanel"]


def __getattr__(name: str) -> Any:
    """`MaskPanel`, imported when it is first asked for: it stands on torch, and the other panels do without."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from workbench.hands.panel.masks import MaskPanel

    return MaskPanel
