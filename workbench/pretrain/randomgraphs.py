"""Random tool graphs with random names, many at a time: all that the embedded reader is ever trained on.

A graph has one source, up to 11 tools that read and write formats, and 0.8 to two formats for every tool; up to 24
facts. Half of the graphs are drawn freely, half around a planted chain with branches that leave it or feed it. Nodes
are columns of small arrays: formats first, then tools, the source last. Shapes below: B graphs, N nodes, E possible
facts.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import networkx as nx
import numpy as np

from workbench.models.reader import BOS, EOS, FIRST_ENTITY, POOL, RELATIONS, RESERVED

FORMATS, TOOLS = 22, 11
N = FORMATS + TOOLS + 1
SOURCE = N - 1
FAR = 99  # distance of what cannot be reached
TOKEN = {word: i for i, word in enumerate(RESERVED)}
FRAME = 11  # tokens of a prompt beside its facts
HOPS = 3  # steps before a node that a row tells of
OTHERS = 6  # nodes beside the target that a row tells of


@dataclass
class Graphs:
    """heads, tails: (B, E) node columns; relations: (B, E) token ids; real: (B, E) bool; adjacent: (B, N, N) bool."""

    heads: np.ndarray
    tails: np.ndarray
    relations: np.ndarray
    real: np.ndarray
    adjacent: np.ndarray


class PathRow(NamedTuple):
    """A question as tokens. forks: per answer token, whether more than one fact leads on from the node before.

    hops: tokens of the nodes 1, 2, ..., HOPS steps before the target. others: further nodes, each with its hops.
    """

    prompt: list[int]
    answer: list[int]
    forks: list[bool]
    hops: list[list[int]]
    others: list[tuple[int, list[list[int]]]]


@dataclass
class Questions:
    """target (B,), steps (B,) length of the shortest path, path (B, steps) node columns, usable (B,) bool."""

    target: np.ndarray
    steps: np.ndarray
    path: np.ndarray
    usable: np.ndarray


def draw_graphs(rng: np.random.Generator, count: int, *, max_facts: int = 24, planted: float = 0.5) -> Graphs:
    """`count` random graphs; `planted` is the share drawn around a chain of 1 to 6 tools."""
    tools = rng.integers(2, TOOLS + 1, count)
    formats = np.clip((tools * rng.uniform(0.8, 2.0, count)).astype(int) + 1, 3, FORMATS)
    around = rng.random(count) < planted
    reads, writes = _ports(rng, tools, formats, around)
    columns = np.arange(TOOLS)[None].repeat(count, 0)
    is_tool = columns < tools[:, None]
    start = np.where(around, 0, (rng.random(count) * formats).astype(int))[:, None]
    # a few tools read or write a second format
    second = (rng.random((count, TOOLS)) * formats[:, None]).astype(int)
    extra = is_tool & (rng.random((count, TOOLS)) < (0.15 * (rng.random(count) < 0.5))[:, None])
    extra &= (second != reads) & (second != writes)
    written = rng.random((count, TOOLS)) < 0.5
    tool = FORMATS + columns
    source = np.full((count, 1), SOURCE)
    into, out = np.full_like(columns, TOKEN["input"]), np.full_like(columns, TOKEN["output"])
    heads = np.concatenate([source, reads, tool, np.where(written, tool, second)], 1)
    tails = np.concatenate([start, tool, writes, np.where(written, second, tool)], 1)
    relations = np.concatenate(
        [np.full_like(source, TOKEN["download_from"]), into, out, np.where(written, out, into)], 1
    )
    # a fifth of the facts carry any relation word at all: the reader goes by the ends
    other = rng.random(relations.shape) < 0.2
    relations = np.where(other, rng.integers(TOKEN[RELATIONS[0]], TOKEN[RELATIONS[-1]] + 1, relations.shape), relations)
    real = np.concatenate([np.ones_like(source, dtype=bool), is_tool, is_tool, extra], 1)
    real &= np.cumsum(real, 1) <= max_facts
    adjacent = np.zeros((count, N, N), bool)
    rows = np.arange(count)[:, None].repeat(heads.shape[1], 1)
    adjacent[rows[real], heads[real], tails[real]] = True
    return Graphs(heads, tails, relations, real, adjacent)


def _ports(
    rng: np.random.Generator, tools: np.ndarray, formats: np.ndarray, around: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What every tool reads and writes, two (B, TOOLS) arrays of format columns, never the same in one tool."""
    count = len(tools)
    reads = (rng.random((count, TOOLS)) * formats[:, None]).astype(int)
    writes = (rng.random((count, TOOLS)) * (formats[:, None] - 1)).astype(int)
    writes += writes >= reads
    length = np.minimum(rng.integers(1, 7, count), np.minimum(tools, formats - 1))
    column = np.arange(TOOLS)[None]
    chain = (column < length[:, None]) & around[:, None]
    reads, writes = np.where(chain, column, reads), np.where(chain, column + 1, writes)
    # the others mostly lead off the chain, or feed it from outside
    outside = (formats - 1 - length)[:, None]
    free = around[:, None] & ~chain & (outside > 0)
    off = length[:, None] + 1 + (rng.random((count, TOOLS)) * np.maximum(outside, 1)).astype(int)
    kind = rng.random((count, TOOLS))
    writes = np.where(free & (kind < 0.55), off, writes)
    reads = np.where(free & (kind >= 0.55) & (kind < 0.75), off, reads)
    return reads, np.where(reads == writes, (reads + 1) % formats[:, None], writes)


def distances(adjacent: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Steps from `start` (B,) to every node (B, N); FAR where there is no way."""
    count = len(start)
    steps = np.full((count, N), FAR)
    front = np.zeros((count, N), np.float32)
    steps[np.arange(count), start] = 0
    front[np.arange(count), start] = 1
    links = adjacent.astype(np.float32)
    for step in range(1, N):
        new = (np.einsum("bij,bi->bj", links, front) > 0) & (steps == FAR)
        if not new.any():
            break
        steps[new] = step
        front = new.astype(np.float32)
    return steps


def draw_questions(rng: np.random.Generator, graphs: Graphs) -> Questions:
    """A target for every graph, each reachable distance as likely as the next, and one shortest path to it."""
    count = len(graphs.real)
    rows = np.arange(count)
    ahead = distances(graphs.adjacent, np.full(count, SOURCE))
    reachable = (ahead < FAR) & (ahead >= 3) & (np.arange(N)[None] < FORMATS)
    weight = np.zeros((count, N))
    for step in range(3, N, 2):
        level = reachable & (ahead == step)
        weight += np.where(level, 1 / np.maximum(level.sum(1, keepdims=True), 1), 0)
    # the largest weight / Exp(1) is a weighted draw
    target = np.argmax(np.where(reachable, weight / rng.exponential(size=(count, N)), -1), 1)
    usable = np.asarray(reachable.any(1))
    left = distances(graphs.adjacent.transpose(0, 2, 1), target)
    steps = left[rows, SOURCE]
    here, path = np.full(count, SOURCE), []
    for step in range(1, int(steps[usable].max(initial=0)) + 1):
        nearer = graphs.adjacent[rows, here] & (left == (left[rows, here] - 1)[:, None])
        here = np.where(step <= steps, np.argmax(np.where(nearer, rng.random((count, N)), -1), 1), here)
        path.append(here)
    return Questions(target, steps, np.stack(path, 1), usable)


def path_rows(rng: np.random.Generator, graphs: Graphs, questions: Questions, rows: np.ndarray) -> list[PathRow]:
    """The given rows as tokens, names and fact order drawn anew: the text of `ReaderTemplate`."""
    names = np.argsort(rng.random((len(rows), POOL)), 1)[:, :N] + FIRST_ENTITY
    order = np.argsort(rng.random(graphs.real.shape) + 2.0 * ~graphs.real, 1)
    before = levels(graphs.adjacent[rows])
    out = []
    for k, i in enumerate(rows):
        shown = order[i, : graphs.real[i].sum()]
        head, tail = names[k][graphs.heads[i, shown]], names[k][graphs.tails[i, shown]]
        facts = np.stack([head, tail, graphs.relations[i, shown]], 1).ravel().tolist()
        question = [TOKEN["to"], int(names[k][questions.target[i]]), TOKEN["from"], int(names[k][SOURCE])]
        prompt = [TOKEN[BOS], *question, TOKEN[":"], *facts, TOKEN["?"], *question]
        path = questions.path[i, : questions.steps[i]]
        forks = graphs.adjacent[i].sum(1)[[SOURCE, *path]] > 1
        forks[-1] = False  # the end follows
        hops = [[names[k][level[node]].tolist() for level in before[k]] for node in range(N)]
        reached = np.flatnonzero(graphs.adjacent[i].any(0))
        asked = rng.permutation(reached)[:OTHERS].tolist()
        answer = [*names[k][path].tolist(), TOKEN[EOS]]
        others = [(int(names[k][node]), hops[node]) for node in asked]
        out.append(PathRow(prompt, answer, forks.tolist(), hops[questions.target[i]], others))
    return out


def levels(adjacent: np.ndarray) -> np.ndarray:
    """(B, HOPS, N, N) bool from (B, N, N): [b, d - 1, x, y] says whether y is d steps before x, and no fewer."""
    links = adjacent.transpose(0, 2, 1)
    seen = links | np.eye(N, dtype=bool)
    out = [links & ~np.eye(N, dtype=bool)]
    for _ in range(HOPS - 1):
        new = (out[-1].astype(np.float32) @ links.astype(np.float32) > 0) & ~seen
        seen = seen | new
        out.append(new)
    return np.stack(out, 1)


def count_paths(adjacent: np.ndarray, target: int, *, limit: int = 2) -> int:
    """Simple paths from the source to `target` in one graph (N, N), counted up to `limit`."""
    graph = nx.from_numpy_array(adjacent, create_using=nx.DiGraph)
    return sum(1 for _ in islice(nx.all_simple_paths(graph, SOURCE, target), limit))
