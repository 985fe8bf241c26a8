"""What a run leaves in its folder, and how it is known that this is whole and up to date.

`files` are whole or absent and named by digests; `provenance` is what a result was made from, the code that ran and the
machine; `stage` tells the state of kg, adapter, explain and shift, and makes their folders, `runs` opens, writes and
reads them; `parameters` are what the notebooks declare, `checks` what their values must be, `steps` which notebooks
have to run and why; `lock` lets one process into a folder.
"""

__version__ = "0.1.0"
