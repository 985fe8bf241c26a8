"""Minimal sets of elements that flip a decision or keep it, each with its certificate."""

from workbench.explain.sets.hitting import disjoint_pairs, diverse_flip_sets
from workbench.explain.sets.minimal import ElementSet, minimal_flip_set, minimal_sufficient_set
