"""A field must fit into the reader: refused before any work where it does not."""

from pathlib import Path

import pytest

from workbench import models
from workbench.artifacts.parameters import ParameterError
from workbench.artifacts.steps import plan
from workbench.hands.headless import chain
from workbench.hands.headless.chain import check_room, find_notebooks, run_chain

ROOT = Path(__file__).resolve().parent.parent


def test_a_field_without_room_in_the_reader_is_refused_before_any_work(tmp_path: Path) -> None:
    parameters = {"topics": ["Sequencing", "Genomics"]}
    with pytest.raises(
        ParameterError, match=r"Sequencing, Genomics has 1,\d{3} names.*1,024.*\(\d+\).*--model smollm2"
    ):
        run_chain(tmp_path / "run", parameters=parameters)
    with pytest.raises(ParameterError, match=r"topics: .*'Cooking'"):
        run_chain(tmp_path / "run", parameters={"topics": ["Cooking"]})
    (tmp_path / "table").mkdir()
    (tmp_path / "table" / "tools.tsv").write_text("name\n")
    with pytest.raises(ParameterError, match=r"table: .*\.tsv: file missing"):
        run_chain(tmp_path / "run", parameters={"table": str(tmp_path / "table")})
    assert not (tmp_path / "run").exists()


def test_fields_have_room_where_the_reader_or_another_model_takes_them() -> None:
    notebooks = find_notebooks()
    for given in ({}, {"topics": ["RNA-Seq"]}, {"topics": [], "table": "mediakg"}):
        check_room(
            {name: value for step in reversed(plan(notebooks, ROOT, given)) for name, value in step.effective.items()}
        )


def test_the_reader_is_the_one_that_models_load() -> None:
    assert (chain.READER, chain.POOL) == (models.READER, models.reader.POOL)
