"""Do the finder's suggestions train well? Three epochs at each, against the best of a grid of learning rates.

    python scripts/lr_find_check.py digits
    OPTLAB_DATA=... python scripts/lr_find_check.py mnist

The loss is the mean over the training (or validation) rows after three epochs, a median over seeds of initial weights
and order; the grid has 15 rates from 1e-4 to 10. A suggestion passes where its loss is within 20 % of the grid's best.
"""

import sys
from collections.abc import Callable, Sequence

import numpy as np

import optlab as ol
from optlab.train.evaluate import score
from optlab.train.lr_find import Found, lr_find

RULES = {"SGD": ol.SGD, "momentum": ol.Momentum, "RMSProp": ol.RMSProp, "Adam": ol.Adam}
EPOCHS, SLACK = 3, 1.2
GRID = np.geomspace(1e-4, 10.0, 15)
SEEDS = (0, 1, 2)


class Check:
    """One data set: what three epochs at a rate lead to, and what the finder suggests."""

    def __init__(self, name: str, hidden: int = 32, seeds: Sequence[int] = SEEDS) -> None:
        data = ol.data.load(name)
        self.train, self.val, _ = data.split(test="published" if data.published < len(data) else 0.15, seed=0)
        self.widths, self.seeds = [data.x.shape[1], hidden, data.outputs], seeds

    def losses(self, rule: Callable[..., ol.Settings], rates: Sequence[float]) -> np.ndarray:
        """Median training and validation loss (2,) after training, a rate per seed; infinite if it diverged."""
        ends = []
        for seed, rate in zip(self.seeds, rates, strict=True):
            model = ol.nn.MLP(self.widths, seed=seed)
            history = ol.fit(model, self.train, None, rule(lr=rate), epochs=EPOCHS, seed=seed, verbose=False)
            if history.status == "diverged":
                ends.append((np.inf, np.inf))
            else:
                ends.append((score(model, self.train).loss, score(model, self.val).loss))
        return np.nan_to_num(np.median(ends, axis=0), nan=np.inf)

    def found(self, rule: Callable[..., ol.Settings]) -> list[Found]:
        """The finder's answer for each seed."""
        return [lr_find(ol.nn.MLP(self.widths, seed=seed), self.train, rule(), seed=seed) for seed in self.seeds]

    def best(self, rule: Callable[..., ol.Settings], grid: np.ndarray = GRID) -> tuple[np.ndarray, np.ndarray]:
        """Of training and validation: the lowest loss on the grid, and its rate."""
        table = np.array([self.losses(rule, [rate] * len(self.seeds)) for rate in grid])
        return table.min(0), grid[table.argmin(0)]


def main(name: str) -> None:
    """Print the table."""
    check = Check(name)
    passed: dict[str, np.ndarray] = {}
    print(f"{name}: {len(check.train)} rows, widths {check.widths}, {EPOCHS} epochs, median of seeds {SEEDS}")
    print(f"{'':10}{'':12}{'rate':>10}{'train':>9}{'of best':>9}{'val':>9}{'of best':>9}")
    for label, rule in RULES.items():
        best, at = check.best(rule)
        print(f"{label:10}{'grid, train':12}{at[0]:10.3g}{best[0]:9.4f}")
        print(f"{'':10}{'grid, val':12}{at[1]:10.3g}{best[1]:27.4f}")
        found = check.found(rule)
        for kind in (*found[0].suggestions, "suggestion"):
            rates = [one.suggestions.get(kind, one.suggestion) for one in found]
            loss = check.losses(rule, rates)
            ratio = loss / best
            passed[kind] = passed.get(kind, np.zeros(2, int)) + (ratio <= SLACK)
            print(f"{'':10}{kind:12}{np.median(rates):10.3g}{loss[0]:9.4f}{ratio[0]:9.2f}{loss[1]:9.4f}{ratio[1]:9.2f}")
        sys.stdout.flush()
    for kind, (train, val) in passed.items():
        print(f"{kind}: within {SLACK - 1:.0%} of the best for {train} of {len(RULES)} rules (train), {val} (val)")


if __name__ == "__main__":
    main(*sys.argv[1:])
