"""On which facts an answer hangs: planted rules of which the right sets are known, and answers that cannot be read."""

from dataclasses import replace
from itertools import combinations, count

import numpy as np
import pytest
from log_speakers import InTurn, Planted, drawn_rule, found_of, minimal_sets, planted, question
from refusals import refused
from tiny import save_tiny

from workbench.game import Engine
from workbench.logs.answers import OTHER, SETTLED, WHOLE, Answers, Local
from workbench.logs.asked import asked
from workbench.logs.hanging import hangs
from workbench.logs.records import record_of
from workbench.models import load
from workbench.stats import proportion
from workbench.stats.games import BudgetSpent


def test_planted_rules_are_found_exactly_and_with_certificate():
    """200 logs of AND of ORs and OR of ANDs: flip and sufficient sets are minimal sets by brute force, every fact that
    turns the answer alone is named, and each set is certified."""
    rng, hits = np.random.default_rng(0), []
    for number in range(200):
        n = int(rng.integers(4, 17))
        _, rule = drawn_rule(rng, n, number)
        everything, yes = frozenset(range(n)), lambda kept, rule=rule: rule(kept) == "Yes."
        found = found_of(planted(n, rule))
        flips = minimal_sets(n, lambda gone: not yes(everything - gone))  # noqa: B023
        enough = minimal_sets(n, yes)
        told = {tuple(one["facts"]) for one in found["flips"] if one["certified"]}
        right = bool(told) and told <= flips and found["alone"] == sorted(one[0] for one in flips if len(one) == 1)
        right &= tuple(found["sufficient"]["facts"]) in enough and found["sufficient"]["certified"]
        hits.append(right and all(one["to"] == "no" for one in found["flips"]) and not found["memory"])
    share = proportion(hits)
    assert share.share == 1.0 and share.n == 200 and share.low > 0.95


def test_an_answer_that_stays_without_any_fact_hangs_on_nothing():
    found = found_of(planted(6, lambda kept: "yes"))
    assert found["memory"] and found["flips"] == [] and found["alone"] == []
    assert found["sufficient"]["facts"] == [] and found["sufficient"]["certified"]
    assert found["asked"] <= 10  # everything, nothing, each alone, and a few that could suffice


def test_an_answer_that_cannot_be_read_is_never_changed():
    """Without fact 0 the model rambles, without 1 and 2 it says no: only the second is a flip set."""
    rule = lambda kept: "Hm." if 0 not in kept else "no" if not kept & {1, 2} else "yes"  # noqa: E731
    found = found_of(planted(5, rule))
    assert [one["facts"] for one in found["flips"]] == [] and found["alone"] == []
    assert found["breaks"]["facts"] == [0] and found["breaks"]["to"] is None and found["breaks"]["certified"]
    assert found["sufficient"]["facts"] == [0, 1] or found["sufficient"]["facts"] == [0, 2]
    turned = lambda kept: "no" if not kept & {1, 2} else "Hm." if 0 not in kept else "yes"  # noqa: E731
    found = found_of(planted(5, turned))
    assert [(one["facts"], one["to"], one["certified"]) for one in found["flips"]] == [([1, 2], "no", True)]
    assert found["breaks"] is None and found["unread"] > 0
    silent = found_of(planted(5, lambda kept: "Hm."))
    assert silent["decision"] is None and silent["flips"] == [] and silent["sufficient"] is None


def test_facts_that_share_words_with_the_question_go_first_among_those_that_turn_nothing_alone():
    """Of two pairs that each turn the answer, the one that the question is about is found, wherever it stands."""
    texts = [f"{word} is blue" for word in ("sky", "sea", "lake", "whale", "fog", "ice")]
    pairs = [{0, 1}, {3, 5}]
    rule = lambda kept: "yes" if all(kept & pair for pair in pairs) else "no"  # noqa: E731
    for pair in pairs:
        about = " and ".join(texts[i] for i in sorted(pair))
        one = asked(record_of({"question": f"Is it so that {about}?", "facts": texts}), "yesno")
        found = found_of(Answers(Planted(rule), one))
        assert [set(told["facts"]) for told in found["flips"]] == [pair] and found["flips"][0]["certified"]


def test_two_models_are_compared_as_sets_are():
    """Facts 0 and 1 each turn the tuned model, 1 and 2 the base: 0 was added, 1 kept, 2 dropped."""
    tuned = planted(6, lambda kept: "yes" if {0, 1} <= kept else "no")
    base = planted(6, lambda kept: "no" if {1, 2} <= kept else "yes")
    found = hangs({"tuned": tuned, "base": base})
    assert found["changed"] == {"added": [0], "kept": [1], "dropped": [2], "unsure": []}
    assert found["models"]["base"]["decision"] == "no"
    unread = hangs({"tuned": tuned, "base": planted(6, lambda kept: "Hm.")})
    assert unread["changed"] is None


def test_many_facts_are_halved_and_a_budget_is_kept():
    rule = lambda kept: "yes" if kept & {70, 120} else "no"  # noqa: E731
    answers = planted(200, rule)
    found = found_of(answers)
    assert [one["facts"] for one in found["flips"]] == [[70, 120]] and found["flips"][0]["certified"]
    assert answers.speaker.rows < 60
    short = found_of(planted(200, rule), budget=3)
    assert not any(one["certified"] for one in short["flips"]) and "budget of 3" in " ".join(short["notes"])


@pytest.mark.parametrize("documents", [False, True])
def test_sets_are_found_over_documents_then_facts_then_sentences(documents):
    """60 planted rules on sentences of 200 passages (of 50 documents): over the first level the flip set is a smallest
    one, below it is minimal within the set above, by brute force over the few that matter, and each is certified."""
    passages = [
        {"text": f"It is so {i}. And so {i}! Is it {i}?"[: (12, 25, None)[i % 3]].strip()}
        | ({"document": f"d{i // 4}"} if documents else {})
        for i in range(200)
    ]
    put = asked(record_of({"question": "q?", "facts": passages}), "yesno", sentences=True)
    fact_of = [unit.fact for unit in put.units]
    lifts = {"documents": lambda u: fact_of[u] // 4, "facts": lambda u: fact_of[u], "sentences": lambda u: u}
    rng, hits, rows = np.random.default_rng(1), [], []
    for number in range(60):
        members, rule = drawn_rule(rng, put.n, number)
        speaker = Planted(rule)
        found = found_of(Answers(speaker, put))
        whole, above, right = frozenset(range(put.n)), set(members), True
        for level in found["levels"]:
            lift, told = lifts[level["level"]], [level["flip"], level["sufficient"]]
            said = [{lift(u) for u in range(put.n) if _named(one, put.units[u], put.units_of)} for one in told]
            yes = lambda gone: rule(whole - {u for u in members if lift(u) in gone}) == "Yes."  # noqa: B023, E731
            every = [set(s) for k in range(1, 5) for s in combinations({lift(u) for u in members}, k)]
            flips = [s for s in every if not yes(s) and all(yes(s - {e}) for e in s)]
            enough = [s for s in every if yes({lift(u) for u in members} - s)]
            right &= said[0] in flips and said[1] in enough and not any(s < said[1] for s in enough)
            right &= all(one["certified"] for one in told) and {u for u in members if lift(u) in said[0]} <= above
            if level is found["levels"][0]:
                right &= len(said[0]) == min(map(len, flips)) and "no smaller set" in level["said"]
            above = {u for u in members if lift(u) in said[0]}
        hits.append(right and [one["level"] for one in found["levels"]] == list(lifts)[not documents :])
        rows.append(speaker.rows)
    assert all(hits) and np.median(rows) < 120


def _named(one, unit, units_of):
    """Whether a set that is told of has this sentence, or the whole fact."""
    spots = one.get("spots", [[fact] for fact in one["facts"]])
    begin = unit.begin - min(2, unit.begin)  # of the text, behind the mark of its line
    whole = len(units_of[unit.fact]) == 1
    return [unit.fact] in spots or (not whole and [unit.fact, begin, unit.end - 2] in spots)


def test_of_an_answer_that_every_passage_moves_one_sentence_is_told_at_little_cost():
    """Whatever is taken out gives another answer: what keeps it is nearly everything, and is not looked for."""
    passages = [{"text": f"It is {i}. And so {i}!", "document": f"d{i // 10}"} for i in range(200)]
    put = asked(record_of({"question": "q?", "facts": passages}), "text", sentences=True)
    speaker = Planted(lambda kept: f"{len(kept)}")
    found = found_of(Answers(speaker, put))
    assert [level["level"] for level in found["levels"]] == ["documents", "facts", "sentences"]
    flips = [level["flip"] for level in found["levels"]]
    assert all(one["certified"] for one in flips) and [len(one["facts"]) for one in flips] == [10, 1, 1]
    assert set(flips[1]["facts"]) <= set(flips[0]["facts"]) and flips[2]["facts"] == flips[1]["facts"]
    assert "each of 3 elements flips it alone" in flips[0]["note"] and "smaller" in found["levels"][0]["said"]
    assert found["alone"] == flips[1]["facts"] and found["sufficient"] is None and speaker.rows <= 40


def test_a_long_record_keeps_its_budget_by_the_length_of_its_prompts():
    """A budget of 9 answers is one of 18,432 characters: of a record of 90,000, some short prompts."""
    put = asked(record_of({"question": "q?", "facts": ["x" * 500] * 180}), "yesno")
    rule = lambda kept: "yes" if {3, 170} <= kept else "no"  # noqa: E731
    speaker = Planted(rule)
    found = found_of(Answers(speaker, put), budget=9)
    assert found["decision"] == "yes" and not any(one["certified"] for one in found["flips"])
    assert "no certificate: prompts of" in found["levels"][0]["flip"]["note"] and 2 < speaker.rows <= 9
    stays = found_of(Answers(Planted(lambda kept: "yes"), put), budget=30)
    assert stays["memory"] and stays["sufficient"]["certified"] and stays["asked"] == 2
    assert "no fact was taken out alone" in stays["notes"][0]


def test_of_few_facts_the_sentences_are_told_too():
    facts = ["A is so. B is so. C is so.", ["bwa", "reads", "FASTQ"], "D."]
    put = asked(record_of({"question": "q?", "facts": facts}), "yesno", sentences=True)
    found = found_of(Answers(Planted(lambda kept: "yes" if {1, 3} <= kept else "no"), put))
    assert found["alone"] == [0, 1] and found["sufficient"]["facts"] == [0, 1]
    (_, told) = found["levels"]
    assert told["flip"]["spots"] == [[0, 8, 17]] and facts[0][8:17] == " B is so." and told["flip"]["certified"]
    assert sorted(told["sufficient"]["spots"]) == [[0, 8, 17], [1]]


def test_what_was_answered_is_kept_and_not_asked_again(tmp_path):
    rule = lambda kept: "yes" if {0, 3} <= kept else "no"  # noqa: E731
    first = planted(7, rule, tmp_path)
    told = hangs({"tuned": first})
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])  # a kill in the midst of a write
    again = planted(7, rule, tmp_path)
    assert hangs({"tuned": again}) == told and 0 < again.speaker.rows < first.speaker.rows
    last = planted(7, rule, tmp_path)
    assert hangs({"tuned": last}) == told and last.speaker.rows == 0
    other = Answers(Planted(lambda kept: "no", "another model"), question(7), tmp_path)
    assert hangs({"tuned": other})["models"]["tuned"]["decision"] == "no"


def test_answers_written_as_far_as_they_decide_give_the_sets_of_whole_ones(tmp_path):
    """The first two words decide: some answers are written to the third, some to a second that is another one."""
    words = ["samtools", "minimap2", "bwa", "reads", "writes", "BAM", "FASTQ", "PAF"]
    model = save_tiny(tmp_path / "llama", "llama", words=[f" {word}" for word in words])
    engine = Engine(load(str(model), names={}, four_bit=False))
    facts, parts = [[words[i % 3], words[3 + i % 2], words[5 + i % 3]] for i in range(6)], set[int]()
    how = {"parse": lambda text: " ".join(text.split()[:2]) or None, "settled": lambda text: len(text.split()) > 2}
    how["other"] = lambda text, answer: bool(text.split()[1:]) and text.split()[0] != answer.split()[0]
    for number in range(4):
        put = replace(asked(record_of({"question": f"{words[number]}?", "facts": facts}), "text"), **how)
        short, again = (Answers(Local(engine, "a", longest=16), put, tmp_path) for _ in range(2))
        whole = Answers(Local(engine, "a", longest=16), put)
        whole.most = WHOLE
        assert found_of(short, budget=99) == found_of(whole, budget=99)
        parts |= {one.part for said in short.known.values() for one in said}
        kept = Answers(Local(engine, "a", longest=16), put, tmp_path)
        assert kept.known == {key: said for key, said in short.known.items() if said}
        third = {"parse": lambda text: " ".join(text.split()[2:5]) or None, "settled": None, "other": None}
        third = replace(put, **third, decision="third")  # asked in the same words, of the same folder
        other, alone = (Answers(Local(engine, "a", longest=16), third, folder) for folder in (tmp_path, None))
        asked_of = np.array([[mark == "1" for mark in key] for key, said in short.known.items() if said])
        assert other.decisions(asked_of) == alone.decisions(asked_of)
        spans = [found_of(one, budget=99, spans=["bwa"])["spans"] for one in (kept, whole, again)]
        assert spans[0] == spans[1] == spans[2]
    assert parts == {WHOLE, SETTLED, OTHER}


@pytest.mark.parametrize("said", ["", "yes" * 10_000, "\0\N{RIGHT-TO-LEFT OVERRIDE}no", "{" * 9_000, "<|im_end|>"])
@pytest.mark.parametrize("decision", ["yesno", "text", "json", "option:a|b", "regex:(a+)+$"])
def test_whatever_a_model_answers_is_told_of(said, decision):
    rule = lambda kept: said if 1 in kept else "a"  # noqa: E731
    found = found_of(Answers(Planted(rule), question(3, decision)))
    assert found["answer"] == said and (found["decision"] is None or isinstance(found["decision"], str))


def scattering(rule, seed):
    """Answers by a rule, but for every tenth or so, drawn anew with each ask."""
    rng, other = np.random.default_rng(seed), {"yes": "no", "no": "yes"}
    return InTurn(lambda kept: (other[rule(kept)] if rng.random() < 0.1 else rule(kept) for _ in count()))


def test_where_answers_scatter_the_sets_of_each_level_are_proved_by_answers_of_their_own():
    """20 planted rules on sentences of 70 passages (of 10 documents), of two alternatives and what both need: of each
    level, what is certified is right, and no set is said to be a smallest one."""
    passages = [{"text": f"It is so {i}. And so {i}!", "document": i // 7} for i in range(70)]
    put = asked(record_of({"question": "q?", "facts": passages}), "yesno", sentences=True)
    lifts, hits, certified = (lambda u: u // 14, lambda u: u // 2, lambda u: u), [], []
    for seed in range(20):
        one, other, both = np.random.default_rng(seed).permutation(70)[:3] * 2
        rule = lambda kept: "yes" if both in kept and (one in kept or other in kept) else "no"  # noqa: B023, E731
        found = found_of(Answers(scattering(rule, seed), put), spans=["yes"])
        for told in (found, *found["spans"]):
            assert [level["level"] for level in told["levels"]] == ["documents", "facts", "sentences"]
            for level, lift in zip(told["levels"], lifts, strict=True):
                a, b, c = ({lift(u)} for u in (one, other, both))
                flips, enough = ([c] if c & (a | b) else [c, a | b]), [a | c, b | c]
                for key, right in (("flip", flips), ("sufficient", enough)):
                    said = {lift(u) for u in range(put.n) if _named(level[key], put.units[u], put.units_of)}
                    certified.append(level[key]["certified"])
                    hits += [said in right] * level[key]["certified"]
                assert "no smaller" not in level["said"]
    assert np.mean(hits) >= 0.95 and np.mean(certified) > 0.7


def test_of_a_long_record_whose_answers_scatter_every_ask_is_counted():
    put = asked(record_of({"question": "q?", "facts": ["x" * 500] * 180}), "yesno")
    whole, few = np.ones((3, 180), bool), Answers(scattering(lambda kept: "yes", 0), put)
    few = few.within(3 * put.length(whole[0]) + 1)
    assert len(few(whole)) == 3 and few.speaker.rows == 3
    refused("1 are left", few, whole[:1], error=BudgetSpent)
    stays = found_of(Answers(scattering(lambda kept: "yes", 1), put), budget=60)
    assert stays["memory"] and stays["sufficient"]["certified"] and stays["sufficient"]["facts"] == []
