"""A race: several rules from one start on one surface, or each tuned first by the same budget."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optlab.checks import check_amount
from optlab.descent.descent import Run, descend
from optlab.descent.table import Table
from optlab.descent.tuning import Tuned, tune_rule
from optlab.errors import ConfigError
from optlab.optim.rules import as_settings
from optlab.optim.settings import Settings
from optlab.surfaces import Surface, as_surface

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Rules = Mapping[str, Settings | str] | Iterable[Settings | type[Settings] | str]


@dataclass(frozen=True, eq=False)
class Race:
    """Runs side by side.

    Attributes:
        surface: where.
        runs: label -> run, in the order given.
        tuned: label -> how the rule was tuned and how it does on other starts; empty unless ``tune`` was asked for.
        target: f - f_min to be reached.
    """

    surface: Surface
    runs: dict[str, Run]
    tuned: dict[str, Tuned] = field(default_factory=dict)
    target: float = 1e-3

    def order(self, radius: float) -> list[str]:
        """Labels by the first step within ``radius`` of a minimum; those that never come near are left out."""
        arrivals = {label: run.steps_within(radius) for label, run in self.runs.items()}
        there = {label: step for label, step in arrivals.items() if step is not None}
        return sorted(there, key=there.__getitem__)

    @property
    def table(self) -> Table:
        """One row per rule.

        After tuning: the settings kept, and over the held-out starts the median and quartiles of steps to the target
        and of the final f - f_min, and the share that diverged; where a kept setting is at an end of what was
        searched, a column ``doubt`` says so. Otherwise what became of each run.
        """
        if self.tuned:
            doubt = any(tuned.edges for tuned in self.tuned.values())
            notes = {label: {"doubt": "; ".join(tuned.edges)} if doubt else {} for label, tuned in self.tuned.items()}
            return Table([{"rule": label, **tuned.row(), **notes[label]} for label, tuned in self.tuned.items()])
        rows = []
        for label, run in self.runs.items():
            last = run.rows - 1
            rows.append(
                {
                    "rule": label,
                    "settings": repr(run.settings),
                    "status": run.status,
                    f"steps to {self.target:g}": run.steps_to(self.target),
                    "final f": float(run.values[last]),
                    "x": float(run.points[last, 0]),
                    "y": float(run.points[last, 1]),
                }
            )
        return Table(rows)

    def to_dict(self) -> dict[str, Any]:
        """Every run and the table as data; NaN and infinities are None, so that it is valid JSON."""
        return {
            "surface": self.surface.name,
            "runs": {label: run.to_dict() for label, run in self.runs.items()},
            "table": [{key: _finite(value) for key, value in row.items()} for row in self.table.rows],
        }

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """All paths over the contours of the surface."""
        from optlab.viz.contour import plot_paths

        return plot_paths(self.runs, ax=ax, **options)

    def plot_loss(self, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """f - f_min against the step, a line per rule."""
        from optlab.viz.curves import plot_loss

        return plot_loss(self.runs, ax=ax, **options)

    def plot_panels(self, fig: "Figure | None" = None) -> "Figure":
        """Paths and losses side by side."""
        from optlab.viz.curves import plot_race

        return plot_race(self.runs, fig=fig)

    def animate(self, path: str | Path, **options: Any) -> Path:
        """Write an animated GIF (see `optlab.viz.animate.animate`)."""
        from optlab.viz.animate import animate

        return animate(self.runs, Path(path), **options)

    def html(self, path: str | Path, **options: Any) -> Path:
        """Write one offline page: play, pause, scrub, hover for all internals."""
        from optlab.viz.player import save_html

        return save_html(self, path, **options)

    def __repr__(self) -> str:
        return f"Race on {self.surface.name}\n{self.table}"


def race(
    surface: Any,
    rules: Rules,
    start: Any = None,
    steps: int = 300,
    *,
    tune: int | None = None,
    starts: int = 16,
    target: float = 1e-3,
    noise: float = 0.0,
    seed: int = 0,
) -> Race:
    """Run several rules from the same start with the same noise.

    Args:
        surface: a name, an `optlab.Surface`, or a function of two floats.
        rules: settings or names, labelled by the rule (by all their settings where a rule comes twice); or a
            dictionary label -> settings.
        start: (x, y); the surface's own if None.
        steps: how many each.
        tune: trials spent on each rule's settings first, the same number for each (see `optlab.descent.tuning`).
        starts: how many starts a trial is judged on, and how many other ones the table reports.
        target: f - f_min to be reached, for tuning and the table.
        noise, seed: as for `descend`; the seed also fixes tuning and starts.

    Raises:
        ConfigError: no rules, an unknown name, two equal labels; see `descend`.

    >>> import optlab as ol
    >>> ol.race("sphere", ["sgd(lr=0.1)", "sgd(lr=0.4)"], steps=50).order(0.1)
    ['SGD(lr=0.4)', 'SGD(lr=0.1)']
    """
    surface = as_surface(surface)
    target = check_amount("target", target)
    entrants = _entrants(rules)
    tuned: dict[str, Tuned] = {}
    if tune is not None:
        tuned = {
            label: tune_rule(surface, settings, tune, steps, starts=starts, target=target, noise=noise, seed=seed)
            for label, settings in entrants.items()
        }
        entrants = {label: result.settings for label, result in tuned.items()}
    runs = {label: descend(surface, s, start, steps, noise=noise, seed=seed) for label, s in entrants.items()}
    return Race(surface, runs, tuned, target)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _entrants(rules: Rules) -> dict[str, Settings]:
    if isinstance(rules, Mapping):
        entrants = {str(label): as_settings(rule) for label, rule in rules.items()}
    elif not isinstance(rules, str | Settings | type | Iterable):
        raise ConfigError(f"rules are a list such as ['sgd', ol.Adam(lr=0.1)], or a dictionary, got {rules!r}")
    else:
        several = [rules] if isinstance(rules, str | Settings | type) else rules
        listed = [as_settings(rule) for rule in several]
        titles = [settings.title for settings in listed]
        entrants = {s.title if titles.count(s.title) == 1 else repr(s): s for s in listed}
        if len(entrants) < len(listed):
            raise ConfigError("two of the rules have the same settings; give a dictionary with a label for each")
    if not entrants:
        raise ConfigError("a race needs at least one rule, such as 'adam'")
    return entrants
