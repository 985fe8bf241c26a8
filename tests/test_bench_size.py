"""Lines of code, counted by hand and over the package."""

from pathlib import Path

from workbench.hands.bench import measure
from workbench.hands.bench.readings import code_lines

SOURCE = '''"""Of a module,
over two lines."""

import os  # why


class Room:
    """One."""

    text = """no docstring,
    two lines"""


def empty():
    """Nothing but this."""
    # and a remark
'''


def test_docstrings_comments_and_blank_lines_do_not_count() -> None:
    assert code_lines(SOURCE) == 5, "import, class, two of the text, def"
    assert code_lines("") == code_lines("# only\\n\\n") == 0


def test_rooms_add_up_to_the_package(tmp_path: Path) -> None:
    rows = {row["room"]: row for row in measure("size", run_dir=tmp_path, quick=True, seed=0, say=print)["table"]}
    rooms = [row for name, row in rows.items() if name not in ("workbench", "tests")]
    for column in ("files", "lines"):
        assert sum(row[column] for row in rooms) == rows["workbench"][column] > 200
    assert rows["kg"]["lines"] > rows["hands/narrative"]["lines"] > 0 and rows["tests"]["files"] > 100
