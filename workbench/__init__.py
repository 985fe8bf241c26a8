"""Workbench: see what a LoRA adapter makes a language model depend on, and where in the weights it sits."""

__version__ = "0.1.0"
