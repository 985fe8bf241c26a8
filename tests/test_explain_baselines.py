"""The seven baselines: size, kind and alignment of what they remove, the attention they rank by; the four metrics."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from explain_cases import CHAIN, MORE, case, cases, engine
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer
from table_games import rng

from workbench.cases import Fact
from workbench.explain import BASELINES
from workbench.explain.baselines import element_type, node_type
from workbench.explain.metrics import cosine, edit_distance, jaccard, path_overlap
from workbench.game import attention_received, eager_attention, element_attention

FULL = case(CHAIN + MORE)
N = len(FULL.elements)


def take(name: str, reference: tuple, *, size: int | None = None, seed: int = 0) -> tuple:
    attention = np.linspace(0.01, 0.07, len(FULL.facts))
    size = len(reference) if size is None else size
    order = BASELINES[name](FULL, reference=reference, rng=rng(seed), attention=attention)
    return tuple(FULL.elements[i] for i in order[:size])


@pytest.mark.parametrize("name", BASELINES)
@given(chosen=st.sets(st.integers(0, N - 1), min_size=1), seed=st.integers(0, 99))
def test_they_remove_as_many_elements_as_the_reference(name: str, chosen: set[int], seed: int) -> None:
    reference = tuple(FULL.elements[i] for i in sorted(chosen))
    found = take(name, reference, seed=seed)
    room = {"random_node": len(FULL.nodes), "aligned_node": len(FULL.nodes), "random_edge": len(FULL.facts)}
    assert len(found) == len(set(found)) == min(len(reference), room.get(name, N))
    assert set(found) <= set(FULL.elements) and found == take(name, reference, seed=seed)
    if name.endswith("node"):
        assert all(isinstance(e, str) for e in found)
    if name.endswith("edge"):
        assert all(isinstance(e, Fact) for e in found)


def test_aligned_removals_have_the_types_of_the_reference() -> None:
    reference = ("command:hisat2", "format_2572", "command:stringtie")
    for seed in range(5):
        nodes = take("aligned_node", reference, seed=seed)
        assert [node_type(n) for n in nodes] == ["command", "format", "command"]
        mixed = take("aligned_both", (CHAIN[1], "source:ena", CHAIN[0]), seed=seed)
        assert [element_type(e) for e in mixed] == ["edge input", "source", "edge download_from"]


def test_an_edge_counts_as_one_of_its_ends_for_aligned_nodes() -> None:
    found = {node_type(take("aligned_node", (CHAIN[1],), seed=seed)[0]) for seed in range(20)}
    assert found == {"format", "command"}


def test_types_that_run_out_are_filled_up_with_others() -> None:
    sources = ("source:ena", "source:ena", "source:ena")
    found = take("aligned_node", sources)
    assert len(set(found)) == 3 and found[0] == "source:ena"


def test_random_draws_reach_every_element() -> None:
    seen = {e for seed in range(60) for e in take("random_both", FULL.elements[:3], seed=seed)}
    assert seen == set(FULL.elements)


def test_types_of_nodes() -> None:
    assert node_type("format:hisat2_index") == node_type("format_2572") == "format"
    assert node_type("command:samtools sort") == "command"


def test_attention_ranks_from_both_ends() -> None:
    highest, lowest = take("attention_highest", FULL.elements[:2]), take("attention_lowest", FULL.elements[:2])
    assert highest == ("data_1276", FULL.facts[-1])  # the last node has the attention of its only fact
    assert lowest == ("source:ena", FULL.facts[0])


def test_attention_of_a_node_is_the_mean_of_its_facts() -> None:
    facts = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    elements = element_attention(case(), facts)
    assert elements[:6] == pytest.approx([0.1, 0.15, 0.25, 0.35, 0.45, 0.5])
    assert elements[6:].tolist() == facts.tolist()


def test_attention_received_in_a_batch_is_that_of_the_answers_positions_alone() -> None:
    run, three = engine(), cases()
    answers = run.greedy_answers(three)
    for c, answer, found in zip(three, answers, attention_received(run, three, answers), strict=True):
        prompt = run.prompt(c)
        with eager_attention(run), torch.no_grad():
            ids = torch.tensor([[*prompt.ids, *answer[:-1]]])
            layers = torch.cat(run.lm.model(input_ids=ids, output_attentions=True).attentions)  # (layers, heads, q, k)
        token = layers[:, :, -len(answer) :].mean((0, 1, 2)).numpy()[: len(prompt.ids)]
        expected = [token[np.array(prompt.fact) == i].sum() for i in range(len(c.facts))]
        assert found == pytest.approx(expected, abs=1e-6) and (found > 0).all() and found.sum() < 1


def test_attention_differs_with_the_adapter_off_and_the_models_setting_comes_back() -> None:
    run, c = engine(), case()
    before = run.lm.model.config._attn_implementation
    answer = run.answer_ids(c, c.path)
    on, off = (attention_received(run, [c], [answer], adapter=a)[0] for a in (True, False))
    assert not np.allclose(on, off, atol=1e-4)
    assert run.lm.model.config._attn_implementation == before != "eager"
    with pytest.raises(ValueError):
        attention_received(run, [c], [])
    assert run.lm.model.config._attn_implementation == before
    assert run.ledger.rows == 2


chains = st.lists(st.sampled_from("abcde"), max_size=6)
CHAIN_METRICS = (jaccard, edit_distance, path_overlap)


@pytest.mark.parametrize(
    ("metric", "values"),
    [
        (jaccard, {("abc", "bcd"): 1 / 2, ("aab", "ab"): 1, ("ab", "cd"): 0, ("ab", ""): 0, ("", ""): 1}),
        (edit_distance, {("kitten", "sitting"): 3 / 7, ("abcd", "abd"): 1 / 4, ("ab", "ba"): 1, ("abc", ""): 1}),
        (path_overlap, {("abcd", "abxd"): 1 / 2, ("abc", "abcdef"): 1 / 2, ("abc", "xbc"): 0, ("abc", ""): 0}),
        (cosine, {("", ""): 1, ("hisat2", ""): 0, ("a b", "c d"): 0}),  # words of one letter do not count
    ],
)
def test_metrics_on_values_worked_out_by_hand(metric: Callable, values: dict) -> None:
    assert {pair: metric(*pair) for pair in values} == values


@settings(max_examples=80)
@given(chains, chains)
def test_they_are_symmetric_bounded_and_know_equal_chains(a: list[str], b: list[str]) -> None:
    for metric in CHAIN_METRICS:
        assert metric(a, b) == metric(b, a)
        assert 0 <= metric(a, b) <= 1
    assert (jaccard(a, a), edit_distance(a, a), path_overlap(a, a)) == (1, 0, 1)
    assert (edit_distance(a, b) == 0) == (a == b) == (path_overlap(a, b) == 1)
    assert edit_distance(a, b) <= 1 - path_overlap(a, b) + 1e-9  # a shared prefix needs no edits


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("SRA FASTQ hisat2 SAM", "SRA FASTQ bwa mem SAM"),
        ("hisat2 SAM samtools sort BAM", "hisat2 SAM samtools sort BAM BAM"),
        ("alpha beta", "gamma delta"),
    ],
)
def test_cosine_is_that_of_scikit_learn(a: str, b: str) -> None:
    first, second = TfidfVectorizer().fit_transform([a, b]).toarray()
    assert cosine(a, b) == pytest.approx(first @ second, abs=1e-12)
