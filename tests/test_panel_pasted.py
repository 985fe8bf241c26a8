"""Records pasted into the panel: what is found of them, and where it says what is wrong, without a browser."""

import json
import weakref

import pytest

from workbench import explain_log, models
from workbench.artifacts import runs
from workbench.hands.panel.page import NOTHING, RecordPanel

GOOD = {
    "question": "Which <b>tool</b>?",
    "facts": ["<script>alert(1)</script>", ["a", "reads", "b"], "c"],
    "answer": "x",
}


@pytest.fixture
def panel(model, tmp_path):
    lm = models.load(str(model), names={}, four_bit=False)
    models.add_adapter(lm, rank=2, alpha=4, modules=("q_proj",), dropout=0.0, seed=0)
    lm.model.save_pretrained(tmp_path / "adapter")
    return RecordPanel(tmp_path / "pasted", model=str(model), adapter=tmp_path / "adapter", decision="regex:(?s).+")


def test_what_is_pasted_is_explained_of_both_models_and_faults_stand_below_the_box(panel, model, tmp_path):
    panel.text.value = f"{json.dumps(GOOD)}\n{json.dumps({'question': 'q'})}"
    panel.explain.click()
    assert "line 2, facts: it must be a list of 1 to 1,000 facts" in panel.faults.value
    assert "1 of 2 records" in panel.status.value and not panel.explain.disabled
    log = tmp_path / "log.jsonl"
    log.write_text(json.dumps(GOOD))
    how = {"decision": "regex:(?s).+", "budget": 300}
    said = explain_log(log, model=str(model), adapter=tmp_path / "adapter", out=tmp_path / "run", **how).records[0]
    for name in ("tuned", "base"):
        assert f'class="model {name}"' in panel.result.value
    facts = ", ".join(str(i + 1) for i in said["models"]["tuned"]["flips"][0]["facts"])
    assert f"Without fact{'s' if ', ' in facts else ''} {facts}:" in panel.result.value
    assert "<script>" not in panel.result.value and "&lt;script&gt;" in panel.result.value
    still = panel._repr_mimebundle_()["text/html"]
    assert panel.result.value in still and "&lt;b&gt;tool" in still and "<b>tool" not in still


def test_one_record_over_several_lines_is_taken_and_what_cannot_be_asked_says_why(panel):
    assert NOTHING in panel.status.value
    panel.text.value = json.dumps(GOOD, indent=2)
    panel.recompute()
    assert panel.faults.value == "" and "1 of 1 records" in panel.status.value
    for name, value, why, status in (
        ("text", "", "holds no record", "Nothing was asked"),
        ("text", "{", "line 1, the line: it must be one JSON object", ""),
        ("text", "[" * 200_000, "line 1, the line: it must", "0 of 1 records"),
        ("decision", "nay", "no decision is called &#x27;nay&#x27;", "Nothing was asked"),
        ("model", "/none/<i>such", "&lt;i&gt;such", "Nothing was asked"),
    ):
        before, widget = getattr(panel, name).value, getattr(panel, name)
        widget.value = value
        panel.recompute()
        assert why in panel.faults.value and status in panel.status.value
        widget.value = before


def test_the_model_stays_loaded_until_another_is_asked(panel, model, monkeypatch):
    loaded, load = [], models.load

    def counted(*given, **how):
        loaded.append(weakref.ref(lm := load(*given, **how)))
        return lm

    monkeypatch.setattr(models, "load", counted)
    spent = []
    for question, adapter in (("one", True), ("one", True), ("two", True), ("two", False), ("three", False)):
        panel.text.value = json.dumps({**GOOD, "question": question})
        panel.adapter.value = panel.adapter.value if adapter else ""
        panel.recompute()
        assert "1 of 1 records" in panel.status.value and len(loaded) == 1 + (not adapter)
        folder = panel.status.value.removesuffix("</p>").rpartition("kept in ")[2]
        spent.append(runs.read_manifest(folder, "log")["ledger"]["tokens"])
    assert [one() is None for one in loaded] == [True, False], "what is not asked any more is freed"
    assert spent[0] == spent[1] and spent[2] < 2 * spent[0], "each log is booked alone"


def test_nothing_is_written_through_a_link(panel, tmp_path):
    panel.text.value = json.dumps(GOOD)
    (tmp_path / "elsewhere").mkdir()
    panel.folder = tmp_path / "link"
    panel.folder.symlink_to(tmp_path / "elsewhere")
    panel.recompute()
    assert "follows no link" in panel.faults.value and not any((tmp_path / "elsewhere").iterdir())
