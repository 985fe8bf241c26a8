"""Paths as they are typed."""

from __future__ import annotations

from pathlib import Path


def typed(path: str) -> Path:
    """The path, `~` and `~user` in it expanded. ValueError: there is no such user."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{path!r} cannot be found: {error}; write the path out") from error
