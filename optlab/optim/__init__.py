"""Rules as settings, and the optimizer that runs them over tensors."""
