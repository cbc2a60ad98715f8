"""The samplers, one per file; `optlab.search.sampler` knows them by name."""
