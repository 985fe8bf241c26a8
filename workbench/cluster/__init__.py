"""Work spread over Dask workers, on this machine or a cluster; see `workbench.sweep` for what is spread, and how."""
