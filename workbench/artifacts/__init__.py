"""What a run leaves in its folder, and how it is known that this is whole and up to date.

`files` are whole or absent and named by digests; `origin` is the code that ran and the machine, `provenance` what a
result was made from; `stage` tells the state of kg, adapter, explain and shift, `runs` writes and reads them;
`executed` are the copies of the notebooks, `parameters` what they declare, `steps` which of them have to run and why;
`lock` lets one process into a folder.
"""
