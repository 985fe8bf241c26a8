"""The examples in docstrings run as they stand, and what a room offers has one."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted(path for path in (ROOT / "workbench").rglob("*.py") if ">>> " in path.read_text("utf-8"))


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.relative_to(ROOT / "workbench").as_posix())
def test_examples_of_docstrings_run_as_they_stand(file: Path) -> None:
    name = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    found = doctest.testmod(import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert found.failed == 0
