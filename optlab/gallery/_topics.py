"""The order of the figures: that of the two documents, the deck before the post, by topic.

A figure that is not listed here is made and shown all the same, after the others.
"""

MORE = "More figures"
TOPICS: dict[str, tuple[str, ...]] = {
    "Optimizers compared": ("contours", "false-valley", "saddle"),
    "Momentum": ("ravine", "momentum"),
    "Adam": ("adam-bias", "adam-training", "adam-eps", "effective-lr"),
    "Adaptive rules against SGD": ("wilson-vision", "wilson-synthetic"),
    "Grid and random search": ("grid-random", "sixty", "edge"),
    "The learning rate": ("lr-first", "lr-batch", "lr-init", "decades", "transfer", "loss-curves"),
    "Schedules and the learning rate finder": ("schedules", "warm-up", "plateau", "lr-find"),
    "In practice": ("val-overfit", "diminishing", "data-quality"),
    "Search techniques": (
        "svm-digits",
        "random-net",
        "bayes",
        "bayes-steps",
        "bayes-noise",
        "bayes-prior",
        "bayes-misspecified",
        "bayes-cost",
        "compare",
    ),
    "Adam's hyperparameters": ("adam-rmsprop", "adam-maps", "adam-low-lr", "epsilon", "sparse"),
    "Best practices": ("early-stopping", "weight-decay", "batch-norm", "clipping", "checkpoint"),
    "Challenges": ("curse", "restarts", "hypergradient"),
    "Overfitting": ("overfit", "l1-l2", "lower-rate", "cross-validation"),
}
# The longest first: with several jobs none of them is begun last.
LONG = (
    "lr-first",
    "compare",
    "curse",
    "bayes-prior",
    "adam-training",
    "adam-maps",
    "bayes-noise",
    "weight-decay",
    "bayes",
    "lower-rate",
    "lr-init",
    "overfit",
    "wilson-vision",
    "wilson-synthetic",
)


def in_order(ids: set[str]) -> list[str]:
    """The ids as the documents have them; unlisted ones by name at the end."""
    listed = [id for topic in TOPICS.values() for id in topic if id in ids]
    return listed + sorted(ids - set(listed))


def topic_of(id: str) -> str:
    """The heading that a figure stands under."""
    return next((topic for topic, ids in TOPICS.items() if id in ids), MORE)


def longest_first(ids: list[str]) -> list[str]:
    """The ids in the order to begin them in."""
    return sorted(ids, key=lambda id: LONG.index(id) if id in LONG else len(LONG))
