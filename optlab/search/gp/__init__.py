"""A Gaussian process by hand: covariances, marginal likelihood, posterior, acquisition, proposals."""
