"""Made-up names: each another, none a name of the graph, another at each sight, and read like any name."""

from dataclasses import replace

import numpy as np
import pytest
from tiny import NAMES, chain_case, save_tiny, tiny_reader

from workbench import models
from workbench.models.prompts import encode, encode_answer
from workbench.models.reader import FIRST_ENTITY, POOL, build_tokenizer
from workbench.train.rows import WORD, Names, plain, renamed


def chat(tmp_path):
    return models.load(str(save_tiny(tmp_path / "llama", "llama")), names=NAMES, four_bit=False)


@pytest.mark.parametrize("kind", ["reader", "chat"])
def test_made_up_names_are_read_like_any(tmp_path, kind):
    lm = tiny_reader() if kind == "reader" else chat(tmp_path)
    draw, rng, seen = Names.of(lm), np.random.default_rng(0), []
    for _ in range(80):
        case = draw.of_case(chain_case(), rng)
        new = {node: name for node, name in case.names.items() if name != NAMES[node]}
        assert case.names.keys() == NAMES.keys() and len(set(map(plain, case.names.values()))) == len(NAMES)
        assert not {plain(name) for name in new.values()} & {plain(name) for name in NAMES.values()}
        assert new.keys() == NAMES.keys() or (new and all(node.startswith("command:") for node in new))
        seen.append(frozenset(new.items()))
        answer = lm.template.answer(case, case.path)
        assert lm.template.parse(case, answer, {name: node for node, name in case.names.items()}) == case.path
        ids = encode(case, lm.template, lm.tokenizer).ids + encode_answer(case, case.path, lm.template, lm.tokenizer)
        assert lm.tokenizer.unk_token_id is None or lm.tokenizer.unk_token_id not in ids
    assert len(set(seen)) == 80 and 25 < sum(len(new) == len(NAMES) for new in seen) < 55
    assert {len(new) for new in seen} == {1, 2, 3, 4, len(NAMES)}


def test_names_have_the_shape_of_what_they_stand_for(tmp_path):
    nodes = [f"command:{i}" for i in range(99)] + ["format:x", "format_1", "source:s", "data_9"]
    names = replace(Names.of(chat(tmp_path)), kinds={}).draw(nodes, np.random.default_rng(1))
    commands = [names[f"command:{i}"] for i in range(99)]
    assert all(name.islower() for name in commands) and {name.count(" ") for name in commands} == {0, 1}
    assert all(names[node].isupper() and len(names[node]) <= 5 for node in ("format:x", "format_1"))
    assert names["source:s"].istitle() and names["data_9"].islower()


def test_half_the_names_are_made_of_words_of_the_graphs_own(tmp_path):
    lm = chat(tmp_path)
    names = ["samtools sort-x", "STAR", "sva::ComBat_seq", "3' end.pl"]
    lm.names = {f"command:{i}": name for i, name in enumerate(names)}
    own = set(WORD.findall(" ".join(lm.names.values())))
    rng = np.random.default_rng(0)
    drawn = list(Names.of(lm).draw([f"command:{i}" for i in range(40)], rng).values())
    alike = [name for name in drawn if set(WORD.findall(name)) <= own]
    assert 10 < len(alike) < 30 and {WORD.sub("", name) for name in alike} == {WORD.sub("", name) for name in names}
    kinds = {"command": ("STAR", "star")}
    folded = replace(Names.of(lm), taken=frozenset(), kinds=kinds).draw([f"command:{i}" for i in range(60)], rng)
    assert len(set(map(plain, folded.values()))) == 60, "an answer is read whatever its case"
    assert len(set(map(plain, drawn))) == 40 and not set(map(plain, drawn)) & set(map(plain, names))


def test_a_reader_without_tokens_to_spare_deals_out_its_own():
    lm = tiny_reader()
    lm.names = NAMES | {f"format:{i}": f"f{i}" for i in range(POOL - len(NAMES) - 3)}
    lm.tokenizer = build_tokenizer(lm.names.values())
    assert len(Names.of(lm).spare) == 3
    names = Names.of(lm).draw(NAMES, np.random.default_rng(0))
    ids = lm.tokenizer.convert_tokens_to_ids(list(names.values()))
    assert len(set(ids)) == len(NAMES) and min(ids) >= FIRST_ENTITY
    assert names != NAMES


def test_a_graph_under_other_names_asks_the_same(tmp_path):
    lm = chat(tmp_path)
    cases, other = renamed([chain_case()] * 2, lm, seed=1)
    assert other.model is lm.model and lm.names == NAMES and cases[0] == cases[1]
    assert cases[0].facts == chain_case().facts and other.ids[cases[0].names["command:align"]] == "command:align"
    assert not set(other.names.values()) & set(NAMES.values())
