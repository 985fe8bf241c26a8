"""The documentation builds as a site in which no link is broken and nothing is loaded from elsewhere."""

import logging
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from processes import ENVIRONMENT, ROOT

pytest.importorskip("mkdocs", reason="the extra `docs` is not installed")
HOOKS = runpy.run_path(str(ROOT / "docs" / "hooks.py"))


def test_the_site_builds_strictly_with_lessons_reference_and_tables(tmp_path: Path) -> None:
    environment = {**ENVIRONMENT, "WORKBENCH_DOCS_RUN": str(tmp_path / "none")}
    words = ["mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pages = {path.relative_to(tmp_path / "site").as_posix(): path for path in (tmp_path / "site").rglob("*.html")}
    assert {"index.html", "limits.html", "how-to/own-graph.html", "teaching.html"} <= pages.keys()
    assert "<math" in pages["lessons/03_explain_masks.html"].read_text("utf-8")
    reference = pages["reference/explain.html"].read_text("utf-8")
    assert 'id="workbench.explain.minimal_flip_set"' in reference and "&gt;&gt;&gt;" in reference
    assert "leave_one_out" in pages["comparison.html"].read_text("utf-8")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('<a href="other.html#here">x</a><a href="https://elsewhere.org">x</a><a href="#top">x</a>', ""),
        ('<a href="gone.html">x</a>', "gone.html leads nowhere"),
        ('<a href="other.html#there">x</a>', "other.html#there names no place there"),
        ('<script src="https://elsewhere.org/x.js"></script>', "https://elsewhere.org/x.js is loaded from elsewhere"),
        ('<link rel="stylesheet" href="//elsewhere.org/x.css">', "//elsewhere.org/x.css is loaded from elsewhere"),
        ('<img src="none.png">', "none.png leads nowhere"),
    ],
)
def test_what_is_wrong_with_a_link_is_told(body: str, said: str, tmp_path: Path, caplog) -> None:
    (tmp_path / "404.html").write_text('<a href="/of/a/server.html">x</a>')
    (tmp_path / "other.html").write_text('<p id="here">x</p>')
    (tmp_path / "page.html").write_text(f'<p id="top">{body}</p>')
    with caplog.at_level(logging.WARNING):
        HOOKS["on_post_build"](SimpleNamespace(site_dir=str(tmp_path)))
    assert [record.getMessage() for record in caplog.records] == ([f"page.html: {said}"] if said else [])
