"""The compiled core of optlab: update rules and the loops over them. NumPy and Numba only; nothing compiles on import."""
