"""A text in sentences: where each begins and ends."""

from __future__ import annotations

import re

ABBREVIATIONS = (
    "dr mr mrs ms prof st sr jr no nos vol fig figs eq eqs sec ch pp ed eds al etc vs v cf ca approx e.g i.e u.s u.k "
    "inc ltd co corp jan feb mar apr jun jul aug sep sept oct nov dec"
).split()
"""Words that a full stop behind them shortens, in small letters."""

END = re.compile(
    r"""(?P<mark>[.!?]+["'\)\]\N{RIGHT DOUBLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}]*)(?=\s+\S)"""
    r"|[\N{IDEOGRAPHIC FULL STOP}\N{FULLWIDTH EXCLAMATION MARK}\N{FULLWIDTH QUESTION MARK}]+(?=\s*\S)"
    r"|(?=\s*\n\s*\n\s*\S)"
)
WORD = re.compile(r"[^\s(\[\"']*\Z")


def sentences_of(text: str) -> list[tuple[int, int]]:
    """(begin, end) of each sentence, which follow one another without a gap: a blank belongs to what stands behind it.

    A sentence ends with `.`, `!` or `?` before a blank, unless a small letter comes next or the full stop shortens a
    word (`ABBREVIATIONS`) or a name's first letter; with a full-width mark; and with a paragraph.

    Examples:
        >>> said = "Dr. Li wrote bwa 0.7. It reads FASTQ (e.g. of SRA). Fast!"
        >>> [said[a:b] for a, b in sentences_of(said)]
        ['Dr. Li wrote bwa 0.7.', ' It reads FASTQ (e.g. of SRA).', ' Fast!']
    """
    cuts = [0]
    for found in END.finditer(text):
        end = found.end()
        if text[cuts[-1] : end].strip() and not _goes_on(text, found):
            cuts.append(end)
    return [(a, b) for a, b in zip(cuts, [*cuts[1:], len(text)], strict=True) if a < b] or [(0, len(text))]


def _goes_on(text: str, end: re.Match[str]) -> bool:
    """Whether what looks like an end is none."""
    mark = end["mark"]
    if not mark:
        return False
    rest = text[end.end() :].lstrip()
    word = WORD.search(text[: end.start()][-40:])
    before = word[0] if word else ""
    shortens = mark == "." and (before.lower() in ABBREVIATIONS or (len(before) == 1 and before.isupper()))
    return rest[0].islower() or shortens
