"""The examples in docstrings run as they stand, and what a room offers has one."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest
from processes import ROOT

FILES = sorted(path for path in (ROOT / "workbench").rglob("*.py") if ">>> " in path.read_text("utf-8"))


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.relative_to(ROOT / "workbench").as_posix())
def test_examples_of_docstrings_run_as_they_stand(file: Path) -> None:
    name = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    found = doctest.testmod(import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert found.failed == 0


ROOMS = "stats cases explain attribution shift game kg kg.importers models pretrain train figures".split()
ROOMS += ["hands.panel", "hands.lesson"]


@pytest.mark.parametrize("room", ["", *ROOMS], ids=lambda room: room or "workbench")
def test_what_a_room_offers_has_an_example(room: str) -> None:
    module = import_module(f"workbench.{room}".rstrip("."))
    offered = getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")])
    own = {name: getattr(module, name) for name in offered}
    own = {name: one for name, one in own.items() if getattr(one, "__module__", "").startswith(module.__name__)}
    lacking = {name for name, one in own.items() if callable(one) and ">>> " not in (one.__doc__ or "")}
    assert own and not lacking
