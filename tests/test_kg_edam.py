"""The ontology: labels, parents, and the check of ids; reading licence names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.kg import load_edam
from workbench.kg.edam import BRANCHES, ROOTS, Edam, EdamTerm
from workbench.kg.naming import family, plain_key, same_licence, spdx


def test_look_ups() -> None:
    edam = load_edam()
    assert edam is load_edam()
    assert edam.label("format_2572") == "BAM"
    assert edam.branch("data_0863") == "data"
    assert "format_2920" in edam.parents("format_2572")
    assert ROOTS["format"] in edam.ancestors("format_2572")
    assert edam.find("  bam ", "format") == "format_2572" and edam.find("bam", "data") is None
    with pytest.raises(KeyError):
        edam.label("format_99999")


def test_parents_are_live_stay_in_the_branch_and_lead_to_its_root() -> None:
    edam = load_edam()
    live = [term for term in edam.terms if not edam.terms[term].obsolete]
    assert len(live) > 2000
    for term in live:
        branch = edam.branch(term)
        assert all(edam.check(parent, branch, allow_root=True) is None for parent in edam.parents(term))
        assert term == ROOTS[branch] or ROOTS[branch] in edam.ancestors(term)
        assert term not in edam.ancestors(term)


def test_an_obsolete_id_comes_with_a_live_replacement() -> None:
    edam = load_edam()
    obsolete = [term for term in edam.terms if edam.terms[term].obsolete]
    advice = [str(edam.check(term, edam.branch(term))) for term in obsolete]
    assert all("obsolete" in text for text in advice)
    assert sum("Use " in text for text in advice) > len(advice) / 2


def test_roots_may_stand_above_an_own_term_only() -> None:
    for branch in BRANCHES:
        assert load_edam().check(ROOTS[branch], branch) is not None
        assert load_edam().check(ROOTS[branch], branch, allow_root=True) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("GPL-3.0-or-later", "GPL-3.0"),
        ("GPLv3+", "GPL-3.0"),
        ("GNU General Public v3 (GPL v3)", "GPL-3.0"),
        ("GNU General Public License version 2", "GPL-2.0"),
        ("LGPLv2.1", "LGPL-2.1"),
        ("GNU Affero General Public License v3.0", "AGPL-3.0"),
        ("BSD", "BSD"),
        ("MIT licence", "MIT"),
        ("The Artistic License", "Artistic"),
        ("Public Domain", "public-domain"),
        ("BSD_2_Clause", "BSD-2-Clause"),
        ("Open Software License v2.1", "OSL-2.1"),
        ("FreeBSD", "BSD-2-Clause"),
        ("10x Genomics EULA", "proprietary"),
        ("Free for Academic Use", "academic"),
        ("Freeware", "freeware"),
    ],
)
def test_licence_families(name: str, expected: str) -> None:
    assert family(name) == expected


def test_a_licence_without_version_agrees_with_every_version() -> None:
    assert same_licence("GPL-3.0-only", "GPL") and same_licence("BSD-3-Clause", "BSD")
    assert not same_licence("GPL-3.0-only", "LGPL-3.0")
    assert spdx("mit") == "MIT" and spdx("GPL v3") is None and spdx("LicenseRef-academic") == "LicenseRef-academic"


@given(st.text(max_size=40))
def test_every_licence_agrees_with_itself(name: str) -> None:
    assert same_licence(name, name)
    assert spdx(name) is None or spdx(str(spdx(name))) == spdx(name)


@pytest.mark.parametrize(
    ("name", "branch", "expected"),
    [
        ("bam", "format", "format_2572"),
        ("FASTQ format", "format", "format_1930"),
        ("fq", "format", "format_1930"),
        ("fastq_sanger", "format", "format_1932"),
        ("GenBank", "format", "format_1936"),
        ("Tab-separated values", "format", "format_3475"),
        ("sequence ALIGNMENT", "data", "data_0863"),
        ("json", "format", "format_3464"),
        ("bam", "data", None),
        ("", "format", None),
    ],
)
def test_lookup_by_label_synonym_and_extension(name: str, branch: str, expected: str | None) -> None:
    assert load_edam().lookup(name, branch) == expected


def test_every_label_is_found_again() -> None:
    edam = load_edam()
    for term_id, term in edam.terms.items():
        if not term.obsolete:
            found = edam.lookup(term.label, edam.branch(term_id))
            assert found is not None and plain_key(edam.label(found)) == plain_key(term.label)


def test_replacements_are_live_and_of_the_same_branch() -> None:
    edam = load_edam()
    found = {term: edam.replacement(term) for term in edam.terms if edam.terms[term].obsolete}
    named = {term: heir for term, heir in found.items() if heir}
    assert len(named) > 200 and named["data_0848"] == "data_2044"
    for term, heir in named.items():
        assert not edam.terms[heir].obsolete and edam.branch(heir) == edam.branch(term)
    assert edam.replacement("format_2572") == "format_2572"


def test_a_circle_of_replacements_ends() -> None:
    terms = {
        "format_1": EdamTerm("a", obsolete=True, suggested=("format_2",), replaced_by=("format_2",)),
        "format_2": EdamTerm("b", obsolete=True, suggested=("format_1",), replaced_by=("format_1",)),
        "format_3": EdamTerm("c", obsolete=True, suggested=("format_4", "format_5")),
        "format_4": EdamTerm("d"),
        "format_6": EdamTerm("e", obsolete=True, suggested=("format_7",), replaced_by=("format_7",)),
        "format_7": EdamTerm("f", obsolete=True, suggested=("format_4",)),
    }
    edam = Edam(terms, version="small")
    assert edam.replacement("format_1") is None and edam.replacement("format_3") is None
    assert edam.replacement("format_6") == "format_4"
