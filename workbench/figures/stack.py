"""Several still twins below one another as one SVG."""

from __future__ import annotations

import re
from collections.abc import Sequence

from workbench.figures.core import Figure

_HEAD = re.compile(rb"<svg [^>]*>", re.DOTALL)
_REFERENCE = re.compile(rb'\b(id="|href="#|url\(#)')
_SIZE = re.compile(rb'(width|height)="([\d.]+)pt"')


def stacked_svg(figures: Sequence[Figure]) -> bytes:
    """The still twins as one SVG, each a nested `<svg>`; their ids are kept apart by a number in front."""
    parts, above, wide = [], 0.0, 0.0
    for number, figure in enumerate(figures):
        text = figure.svg()
        head = _HEAD.search(text)
        if head is None:
            raise ValueError("a still twin gave no SVG")
        size = {name: float(value) for name, value in _SIZE.findall(head[0])}
        body = _REFERENCE.sub(b"\\g<1>p%d-" % number, text[head.start() :])
        place = b'<svg y="%.2f" ' % above
        parts.append(body.replace(b"<svg ", place, 1))
        above, wide = above + size[b"height"], max(wide, size[b"width"])
    opening = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'width="{wide:.2f}pt" height="{above:.2f}pt" viewBox="0 0 {wide:.2f} {above:.2f}">\n'
    )
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + opening.encode() + b"\n".join(parts) + b"\n</svg>\n"
