"""Workbench: see what a LoRA adapter makes a language model depend on, and where in the weights it sits."""

import logging
import os
from importlib import import_module
from typing import TYPE_CHECKING

from workbench.artifacts import __version__

if TYPE_CHECKING:
    from workbench.artifacts.run_folder import Run
    from workbench.logs.run import explain_log

__all__ = ["Run", "__version__", "explain_log"]

# Threads that wait for each other by spinning take the core away from the one they wait for, wherever there are fewer
# free cores than threads: small models then run a hundred times slower. Read by OpenMP when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# bitsandbytes says on import that a faster processor kernel could be fetched: nothing that a user must know
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


def __getattr__(name: str) -> object:
    """`Run` and `explain_log` bring torch with them: they are loaded when they are first asked for."""
    modules = {"Run": "artifacts.run_folder", "explain_log": "logs.run"}
    if name not in modules:
        raise AttributeError(f"module 'workbench' has no attribute {name!r}")
    return getattr(import_module(f"workbench.{modules[name]}"), name)
