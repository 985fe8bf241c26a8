"""What people and programs touch: the command line, headless runs and sweeps, panels, lessons, reports, benchmarks."""
