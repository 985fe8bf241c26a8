"""`python -m workbench`."""

import sys

from workbench.hands.cli import main

if __name__ == "__main__":
    sys.exit(main())
