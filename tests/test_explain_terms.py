"""Every term of the objective on values worked out by hand; weights; the layout of cases. The seven baselines: size,
kind and alignment of what they remove, the attention they rank by; the four metrics."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from explain_cases import CHAIN, MORE, NAMES, case, cases, engine
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import refused
from sklearn.feature_extraction.text import TfidfVectorizer
from table_games import rng

from workbench.cases import Fact
from workbench.explain import BASELINES, PRESETS, TERMS, Layout, Sample, Term, Weights, contributions, evaluate, total
from workbench.explain import terms as module
from workbench.explain.baselines import element_type, node_type
from workbench.explain.metrics import cosine, edit_distance, jaccard, path_overlap, relevance
from workbench.explain.terms import neighbours
from workbench.game import attention_received
from workbench.models.prompts import ReaderTemplate


def layout(**changes) -> Layout:
    """Two nodes (one a command), three edges in a row of which the first two and the last two are neighbours."""
    base = Layout(
        node_real=torch.tensor([[True, True]]),
        edge_real=torch.tensor([[True, True, True]]),
        node_weights=torch.tensor([[0.5, 0.8]], dtype=torch.float64),
        edge_weights=torch.tensor([[1.0, 1.0, 2.0]], dtype=torch.float64),
        heads=torch.tensor([[0, 1, 0]]),
        tails=torch.tensor([[1, 0, 1]]),
        pairs=torch.tensor([[[0, 1], [1, 2]]]),
        pair_real=torch.tensor([[True, True]]),
        tools=torch.tensor([[False, True]]),
    )
    return dataclasses.replace(base, **changes)


def sample(nodes=(0.2, 0.4), edges=(0.1, 0.5, 0.9), divergence=0.3) -> Sample:
    return Sample(*(torch.tensor([x], dtype=torch.float64) for x in (nodes, edges)), torch.tensor([divergence]))


def value(name: str, at: Sample | None = None, where: Layout | None = None) -> float:
    return float(TERMS[name].function(at or sample(), where or layout()))


def test_structure_hard_and_smooth() -> None:
    assert value("structure_nodes") == pytest.approx(0.5 * 0.2 + 0.8 * 0.4)
    assert value("structure_edges") == pytest.approx(0.1 + 0.5 + 2 * 0.9)
    assert value("hard") == pytest.approx((0.2 + 0.4 + 0.1 + 0.5 + 0.1) / 5)
    assert value("smooth") == pytest.approx((0.4**2 + 0.4**2) / 2)
    assert value("smooth", where=layout(pair_real=torch.tensor([[False, False]]))) == 0


def test_entropy_in_nats() -> None:
    def h(m: float) -> float:
        return -m * math.log(m) - (1 - m) * math.log(1 - m)

    assert value("entropy") == pytest.approx((h(0.2) + h(0.4) + h(0.1) + h(0.5) + h(0.9)) / 5)
    assert value("entropy", sample((0.5, 0.5), (0.5, 0.5, 0.5))) == pytest.approx(math.log(2))
    assert value("entropy", sample((0.0, 1.0), (0.0, 1.0, 1.0))) == pytest.approx(0, abs=1e-9)


def test_preserve_counts_kept_tools_and_commands_only() -> None:
    assert value("preserve") == pytest.approx(1 - 0.6)
    assert value("preserve", sample((0.0, 1.0))) == pytest.approx(1)
    assert value("preserve", sample((1.0, 0.0))) == 0
    two = layout(tools=torch.tensor([[True, True]]))
    assert value("preserve", where=two) == 0  # 0.8 + 0.6 tools are kept
    assert value("preserve", where=layout(tools=torch.tensor([[False, False]]))) == 1


def test_total_is_the_objective_of_the_method() -> None:
    values = {name: value(name) for name in evaluate(sample(), layout())}
    w = Weights(lambda_v=2, lambda_e=3, alpha=5, beta=7, gamma=11, delta=13, epsilon=17)
    names = "structure_nodes structure_edges divergence entropy preserve hard smooth".split()
    by_hand = sum(w * values[name] for w, name in zip((2, 3, -5, 7, 11, 13, 17), names, strict=True))
    assert total(values, w) == pytest.approx(by_hand)
    row = values | {"step": 1.0, "loss": 0.0}  # columns of a history that are no terms do not count
    assert total(row, w) == pytest.approx(by_hand)
    assert contributions(values, w)["divergence"] == pytest.approx(-5 * 0.3)


def test_default_weights_are_the_papers() -> None:
    expected = {"lambda_v": 0.1, "lambda_e": 0.5, "alpha": 400, "beta": 0.05, "gamma": 10, "delta": 10, "epsilon": 5}
    assert Weights().to_dict() == {**expected, "tau": 0.15}
    assert PRESETS["paper"] == Weights()
    assert Weights.from_dict(Weights(alpha=3).to_dict()) == Weights(alpha=3)


def test_weights_out_of_range_are_refused_by_name() -> None:
    for name, value in {"alpha": -1, "beta": math.nan, "gamma": math.inf, "tau": 0}.items():
        refused(name, Weights, **{name: value})
    refused("zeta", Weights, more={"zeta": 1.0})
    refused("no term has a weight 'zeta'", Weights.from_dict, {"zeta": 1.0})


def test_a_new_term_gets_a_weight_a_column_and_its_share_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    new = Term("count", "L_count", "zeta", 2.0, 1, "elements", "ζ · Σ m", lambda s, _: s.nodes.sum(1) + s.edges.sum(1))
    monkeypatch.setitem(module.TERMS, "count", new)
    values = evaluate(sample(), layout())
    assert float(values["count"]) == pytest.approx(2.1)
    assert Weights().to_dict()["zeta"] == 2.0
    assert Weights.from_dict({"zeta": 5.0, "alpha": 1.0}).of(new) == 5.0
    assert float(contributions(values, Weights(more={"zeta": 5.0}))["count"]) == pytest.approx(10.5)


@given(st.lists(st.floats(0, 1), min_size=5, max_size=5))
def test_every_term_is_finite_with_finite_gradients_also_at_0_and_1(m: list[float]) -> None:
    nodes = torch.tensor([m[:2]], dtype=torch.float64, requires_grad=True)
    edges = torch.tensor([m[2:]], dtype=torch.float64, requires_grad=True)
    values = evaluate(Sample(nodes, edges, layout().keep_facts(nodes, edges).sum(1)), layout())
    assert all(torch.isfinite(v).all() and (v >= -1e-12).all() for v in values.values())
    total(values, Weights()).sum().backward()
    assert torch.isfinite(nodes.grad).all() and torch.isfinite(edges.grad).all()


def test_gradients_are_those_of_finite_differences() -> None:
    where = layout()

    def objective(nodes: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        at = Sample(nodes, edges, 1 - where.keep_facts(nodes, edges).mean(1))
        return total(evaluate(at, where), Weights())

    at = (torch.tensor([[0.21, 0.43]]), torch.tensor([[0.1, 0.6, 0.87]]))
    assert torch.autograd.gradcheck(objective, [x.double().requires_grad_() for x in at])


def test_layout_of_cases() -> None:
    three = cases()
    found = Layout.of(three, ReaderTemplate(), relations={"input": 0.25})
    assert found.node_real.sum(1).tolist() == [len(c.nodes) for c in three]
    assert found.edge_real.sum(1).tolist() == [len(c.facts) for c in three]
    for i, c in enumerate(three):
        ends = [(c.nodes[h], c.nodes[t]) for h, t in zip(found.heads[i], found.tails[i], strict=True)]
        assert ends[: len(c.facts)] == [(f.head, f.tail) for f in c.facts]
        assert [n for n, tool in zip(c.nodes, found.tools[i], strict=False) if tool] == list(c.toolchain)
        expected = [0.25 if f.relation == "input" else 1.0 for f in c.facts]
        assert found.edge_weights[i].tolist() == expected + [0.0] * (7 - len(c.facts))
        assert (found.node_weights[i][found.node_real[i]] >= 0.5).all()
    assert (found.node_weights[~found.node_real] == 0).all()


def test_relevance_is_the_cosine_of_scikit_learn() -> None:
    c = case()

    def line(f: Fact) -> str:
        return f"{NAMES[f.head].replace(' ', '_')} {NAMES[f.tail].replace(' ', '_')} {f.relation}\n"

    nodes = ["".join(line(f) for f in c.facts if n in (f.head, f.tail)) for n in c.nodes]
    question = "to BAM from ENA_archive :\n ? to BAM from ENA_archive"
    vectors = TfidfVectorizer().fit_transform([question, *nodes]).toarray()
    assert relevance(c, ReaderTemplate()) == pytest.approx(vectors[1:] @ vectors[0], abs=1e-12)


def test_edges_that_share_a_node_are_paired_once() -> None:
    assert neighbours(case()) == [(0, 1), (1, 2), (2, 3), (3, 4)]
    ring = (Fact("a", "input", "b"), Fact("b", "output", "a"), Fact("c", "input", "d"))
    assert neighbours(dataclasses.replace(case(), facts=ring)) == [(0, 1)]


def test_keep_weight_of_a_fact_is_the_product_of_its_edge_and_both_ends() -> None:
    where = Layout.of([case(), case(CHAIN[:1], id="short")], ReaderTemplate())
    nodes = torch.zeros(2, 6, dtype=torch.float64)
    edges = torch.zeros(2, 5, dtype=torch.float64)
    nodes[0, 1], edges[0, 1] = 0.5, 0.2  # FASTQ and FASTQ -> hisat2
    keep = where.keep_facts(nodes, edges)
    assert keep[0].tolist() == pytest.approx([0.5, 0.5 * 0.8, 1, 1, 1])
    assert keep[1].tolist() == [1, 0, 0, 0, 0]
    elements = torch.cat([1 - nodes[:1], 1 - edges[:1]], 1)
    assert torch.equal(case().keep_facts(elements), keep[:1])  # the same rule as the case's own


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


def test_attention_differs_with_the_adapter_off_and_the_models_setting_comes_back() -> None:
    run, c = engine(), case()
    before = run.lm.model.config._attn_implementation
    answer = run.answer_ids(c, c.path)
    on, off = (attention_received(run, [c], [answer], adapter=a)[0] for a in (True, False))
    assert not np.allclose(on, off, atol=1e-4)
    assert run.lm.model.config._attn_implementation == before != "eager"
    refused("shorter", attention_received, run, [c], [])
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
