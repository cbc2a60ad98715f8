"""Fit a model: the plan of a training step, and the machine that runs it."""
