"""Benchmarks: always against peers and the memory's ceiling, in the same run, interleaved."""
