"""What holds for all tests, and for the processes that they start."""

import os
import signal

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch or numpy are imported: models this small run faster alone
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it, and some tests send it
