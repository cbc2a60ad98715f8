"""Data sets: small vision sets, arrays of one's own, splits, and a test set that is opened once."""
