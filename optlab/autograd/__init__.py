"""Tensors and their gradients."""
