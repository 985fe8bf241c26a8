"""What the four notebooks need to be a lesson: where we are, a guess before the result, exercises that answer, limits.

Nothing here writes: whatever a reader tries, the run folder stays as it is.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.hands.lesson.exercises import checker
    from workbench.hands.lesson.limits import limit
    from workbench.hands.lesson.place import chain_map, environment
    from workbench.hands.lesson.prediction import Prediction

_ROOMS = {
    "chain_map": "place",
    "checker": "exercises",
    "environment": "place",
    "limit": "limits",
    "Prediction": "prediction",
}
__all__ = ["Prediction", "chain_map", "checker", "environment", "limit"]


def __getattr__(name: str) -> Any:
    """Each name is imported when it is first asked for: some stand on torch, which the first notebook does without."""
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
