"""What is refused, and in what words."""

from collections.abc import Callable

import pytest


def refused(words: str, call: Callable, *given, error: type[Exception] = ValueError, **named) -> None:
    """The call of what is given ends in such an error, whose text holds the pattern `words`."""
    with pytest.raises(error, match=words):
        call(*given, **named)
