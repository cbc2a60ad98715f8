"""`optlab lr-find`: sweep the learning rate within one short training, and suggest some."""

from math import isnan
from pathlib import Path
from typing import Any

import click

from optlab.cli.common import (
    file_option,
    json_option,
    print_json,
    print_table,
    quiet_option,
    save_picture,
    tell_people,
    tell_written,
)
from optlab.cli.recipe import make_recipe, recipe_options


@click.command("lr-find")
@click.argument("dataset")
@click.option("--low", type=float, default=1e-7, show_default=True, help="The first rate.")
@click.option("--high", type=float, default=10.0, show_default=True, help="The last rate.")
@click.option("--steps", type=int, default=100, show_default=True, help="Batches of the sweep.")
@recipe_options
@file_option("png", "losses against the rate as a picture")
@json_option
@quiet_option
def lr_find(
    dataset: str, low: float, high: float, steps: int, png: Path | None, as_json: bool, quiet: bool, **options: Any
) -> None:
    """Suggest learning rates for a network on DATASET; options as in `optlab train`."""
    from optlab.descent.table import Table
    from optlab.train import lr_find as finder

    recipe = make_recipe(dataset, **options)
    data, config = recipe.data(), recipe.config
    names = ("batch_size", "seed", "label_smoothing", "l1", "l2", "clip_norm", "augment", "engine")
    shared: dict[str, Any] = {name: getattr(config, name) for name in names}
    model, (train, _, _) = recipe.mlp(data), recipe.parts(data)
    found = finder.lr_find(model, train, config.rule, low=low, high=high, steps=steps, **shared)
    if png is not None:
        tell_written(save_picture(found.plot, png), quiet)
    if as_json:
        arrays = {name: getattr(found, name).tolist() for name in ("lrs", "losses", "smoothed")}
        print_json({"suggestion": found.suggestion, **vars(found), **arrays})
    elif not quiet:
        rows = [{"way": way, "lr": rate} for way, rate in found.suggestions.items()]
        advice = "no suggestion" if isnan(found.suggestion) else f"{found.suggestion:.3g}"
        print_table(Table(rows), f"{dataset}, {config.rule.name}: {advice}")
        tell_people(found.reason)
