"""Workbench: see what a LoRA adapter makes a language model depend on, and where in the weights it sits."""

import logging
import os
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

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


def on_demand(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package whose names are loaded when they are first asked for: some bring torch with them.

    modules: name -> the module of the package that has it; empty where the name is that of a module.
    """

    def found(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = import_module(f"{package}.{modules[name] or name}")
        return getattr(module, name) if modules[name] else module

    return found


__getattr__ = on_demand(__name__, {"Run": "artifacts.run_folder", "explain_log": "logs.run"})
