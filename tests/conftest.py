"""What holds for all tests: models this small run faster on one thread, also in the processes that tests start."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch or numpy are imported
