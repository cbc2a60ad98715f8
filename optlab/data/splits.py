"""Seeded splits: which rows go where, every class with its share in every part."""

import numpy as np

from optlab.checks import check_count, real, whole
from optlab.errors import ConfigError, DataError

SPLIT, FOLDS, TAKE, RENDER, AUGMENT, ORDER = range(
    6
)  # spawn keys: what one seed is used for never shares random numbers


def generator(seed: int, *key: int) -> np.random.Generator:
    """Random numbers for one purpose: Philox keyed by the seed and by what they are for."""
    check_count("seed", seed)
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(int(seed), spawn_key=key)))


def shuffled(n: int, seed: int, *key: int) -> np.ndarray:
    """The numbers 0 to n - 1 in random order, from Philox's raw output, which stays the same in every NumPy."""
    raw = generator(seed, *key).bit_generator.random_raw(n)
    return np.argsort(raw, kind="stable").astype(np.int64)


def rows_of(value: float, n: int, what: str) -> int:
    """A fraction in [0, 1) of n rows, rounded, or a whole number of rows.

    Raises:
        ConfigError: it is neither.
        DataError: a fraction above 0 that rounds to no row at all.
    """
    count, share = whole(value), real(value)
    if count is not None:
        if not 0 <= count < n:
            raise ConfigError(f"{what}={count} rows: there are {n}, and the training part needs some")
        return count
    if share is None or not 0.0 <= share < 1.0:
        raise ConfigError(f"{what} is a fraction in [0, 1) or a whole number of rows, got {value!r}")
    rows = int(share * n + 0.5)
    if share > 0 and rows == 0:
        raise DataError(f"{what}={share:g} of {n} rows is no row at all; give a number of rows, such as {what}=1")
    return rows


def shares(counts: np.ndarray, sizes: np.ndarray, order: np.ndarray) -> np.ndarray:
    """How many rows of each class (k,) go to each of three parts (3,): all sums exact, each within one of its share.

    The share is counts * sizes / n, in whole numbers. A class has 0, 1 or 2 parts where its share is rounded up. Column
    by column, those with two left are served first, then the largest remainders (ties by ``order``): that leaves the
    next column always enough.
    """
    n = int(counts.sum())
    low, rest = np.divmod(np.outer(counts, sizes), n)
    left = rest.sum(1) // n
    for part in (0, 1):
        up = np.lexsort((order, rest[:, part], left))[::-1][: rest[:, part].sum() // n]
        low[up, part] += 1
        left[up] -= 1
    low[:, 2] += left
    return low


def split_rows(labels: np.ndarray, sizes: tuple[int, int, int], seed: int, key: int = SPLIT) -> list[np.ndarray]:
    """Positions 0 to n - 1 in three disjoint shuffled parts of these sizes, by class; equal labels: no classes."""
    order = shuffled(len(labels), seed, key)
    counts = np.bincount(labels)
    table = shares(counts, np.array(sizes), shuffled(len(counts), seed, key, 1))
    part = np.empty(len(labels), np.int64)
    by_class = order[np.argsort(labels[order], kind="stable")]
    part[by_class] = np.repeat(np.tile(np.arange(3), len(counts)), table.ravel())
    return [order[part[order] == p] for p in range(3)]


def fold_rows(labels: np.ndarray, k: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """k pairs of shuffled positions (all others, one fold): the folds are disjoint, cover all and differ by one row.

    Rows sorted by class are dealt out in turn, so that a class's rows differ by one between folds, too.
    """
    order = shuffled(len(labels), seed, FOLDS)
    fold = np.empty(len(labels), np.int64)
    fold[order[np.argsort(labels[order], kind="stable")]] = np.arange(len(labels)) % k
    return [(order[fold[order] != f], order[fold[order] == f]) for f in range(k)]


def balanced(n: int, k: int, random: np.random.Generator) -> np.ndarray:
    """n labels from 0 to k - 1 in random order, each as often as the others within one.

    Raises:
        ConfigError: n is not a whole number >= 2.
    """
    n = check_count("n", n, 2)
    return random.permutation(np.arange(n, dtype=np.int64) % k)
