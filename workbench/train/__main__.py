"""`python -m workbench.train FOLDER`: one of the processes of a training; see `together`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from workbench.game.memory import is_out_of_memory
from workbench.train import together


def main() -> int:
    """0: trained to the end; 1: it failed, and a line of JSON says why; 2: no such training."""
    parser = argparse.ArgumentParser(prog="python -m workbench.train", description=__doc__)
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="of the adapter, such as runs/demo/adapter.new")
    parser.add_argument(together.WATCHED, action="store_true", help="end when stdin closes")
    options = parser.parse_args()
    if not (options.folder / together.FOLDER / "order.json").is_file():
        parser.error(f"{options.folder} holds no training that was begun; see {together.__name__}")
    try:
        together.take_part(options.folder, watched=options.end_with_parent)
    except Exception as error:
        words = " ".join(f"{type(error).__name__}: {error}".split())
        print(json.dumps({"error": words, "out_of_memory": is_out_of_memory(error)}), flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
