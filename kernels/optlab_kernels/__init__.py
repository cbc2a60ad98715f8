"""The compiled core of optlab: update rules and the loops over them, on NumPy and Numba. Importing compiles nothing."""
