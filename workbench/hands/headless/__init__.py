"""Notebooks run without anybody watching: their kernel, what they tell on the way, what to do when one fails."""
