"""Files are whole or absent, and JSON holds what JSON can."""

import json
import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.artifacts import runs
from workbench.artifacts.files import atomic_path, plain


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = runs.atomic_write_text(tmp_path / "a.json", "old")
    with pytest.raises(ValueError, match=r"a\.json\.loss is nan"):
        runs.atomic_write_json(target, {"loss": float("nan")})
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_written_files_have_ordinary_permissions(tmp_path: Path) -> None:
    (tmp_path / "ordinary").write_text("")
    written = runs.atomic_write_text(tmp_path / "atomic", "")
    assert stat.S_IMODE(written.stat().st_mode) == stat.S_IMODE((tmp_path / "ordinary").stat().st_mode)


def test_json_takes_what_numerical_code_returns(tmp_path: Path) -> None:
    @dataclass
    class Ledger:
        rows: int
        where: Path

    value = {"a": np.float32(0.5), "b": np.arange(2), "c": (1, None), "d": Ledger(3, Path("x")), 4: np.bool_(True)}
    path = runs.atomic_write_json(tmp_path / "v.json", value)
    assert json.loads(path.read_text("utf-8")) == {
        "a": 0.5, "b": [0, 1], "c": [1, None], "d": {"rows": 3, "where": "x"}, "4": True,
    }  # fmt: skip


def test_what_has_no_place_in_json_is_named() -> None:
    with pytest.raises(TypeError, match=r"config\.names is a set"):
        plain({"names": {1}}, where="config")
    with pytest.raises(TypeError, match="has the key True"):
        plain({True: 1}, where="config")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(max_examples=30)
@given(json_values)
def test_plain_keeps_what_is_plain_already(value: object) -> None:
    assert plain(value, where="value") == value
