"""Names: the forms in which they are compared, made ids of, and shown."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from urllib.parse import urlsplit

MAX_NAME = 200  # characters of one value
MAX_URL = 2000
MAX_SHOWN = 80  # characters of a value that an error message repeats


def name_key(name: str) -> str:
    """The form in which two names are compared: case folded, runs of blanks as one."""
    return " ".join(name.split()).casefold()


def plain_key(name: str) -> str:
    """Letters and digits alone, case folded, without a closing "format": `FASTQ_Sanger format` is `fastqsanger`."""
    key = "".join(character for character in name.casefold() if character.isalnum())
    return key.removesuffix("format") or key


def plain_name(name: str) -> str:
    """A name without case, blanks and punctuation: `Trim Galore!` and `trim_galore` are one."""
    return re.sub(r"[^0-9a-z]+", "", name.casefold()) or name.casefold()


def slug(name: str) -> str:
    """`name` as an id: a-z, 0-9 and . _ + -, a digest where letters are left but none of these, "" where nothing is."""
    folded = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    plain = re.sub(r"[^a-z0-9._+-]+", "-", folded).lstrip("-._+").rstrip("-._")[:100]
    if plain or not any(character.isalnum() for character in name):
        return plain
    return "x" + hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:10]


def shorten(value: str, limit: int = MAX_SHOWN) -> str:
    """`repr(value)` with at most `limit` characters: control characters show as escapes, long values are cut."""
    shown = repr(value[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 4] + "...'"


def is_url(value: str) -> bool:
    """Whether a text is an http(s) address with a host and without blanks."""
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r"\s", value)
