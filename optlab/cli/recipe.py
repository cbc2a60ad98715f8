"""The options that say what is trained on what; `optlab train` and `optlab lr-find` have the same ones."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from optlab.cli.common import seed_option
from optlab.cli.data import folder_option

if TYPE_CHECKING:
    from optlab.data.augment import Augment
    from optlab.train.recipe import Recipe


def _rows(context: click.Context, parameter: click.Parameter, text: str | None) -> float | str | None:
    """``0.15`` is a fraction of the rows, ``270`` their number; the test part may be the published one."""
    if text is None or (text == "published" and parameter.name == "test"):
        return text
    try:
        return int(text) if re.fullmatch(r"\d+", text) else float(text)
    except ValueError:
        word = " or 'published'" if parameter.name == "test" else ""
        raise click.BadParameter(f"a fraction such as 0.15, or a number of rows{word}, got {text!r}") from None


OPTIONS = (
    click.option("--rule", default="adam", show_default=True, help="A name, or 'adam(beta1=0.8)'; see optlab rules."),
    click.option(
        "--hidden",
        type=click.IntRange(min=0),
        multiple=True,
        default=(32,),
        show_default=True,
        help="Units of a hidden layer; repeat it for more layers, 0 for none.",
    ),
    click.option("--activation", default="relu", show_default=True, help="relu, leaky-relu, tanh, sigmoid or gelu."),
    click.option("--batch-norm", is_flag=True, help="Batch normalisation before each activation."),
    click.option("--dropout", type=float, default=0.0, help="Share of hidden units that is left out of a step."),
    click.option("--init", default="he", show_default=True, help="How first weights are drawn."),
    click.option("--batch-size", type=click.IntRange(min=1), default=32, show_default=True),
    click.option("--l1", type=float, default=0.0, help="Penalty l1 sum |w| in the loss."),
    click.option("--l2", type=float, default=0.0, help="Penalty l2 / 2 sum w^2 in the loss."),
    click.option("--weight-decay", type=float, help="Of the rule."),
    click.option("--label-smoothing", type=float, default=0.0),
    click.option("--clip-norm", type=float, help="Largest norm of a gradient."),
    click.option("--augment", help="Change pictures at every sight: 'shift=2,flip,noise=0.1', or some of these."),
    click.option(
        "--val", default="0.15", show_default=True, callback=_rows, help="Rows for validation, or their share."
    ),
    click.option(
        "--test",
        callback=_rows,
        help="Sealed rows: as --val, or 'published': the data set's own, the default if it has some; else 0.15.",
    ),
    click.option("--label", default="-1", show_default=True, help="Which column of a table: a name, or from 0 on."),
    click.option("--task", type=click.Choice(("classification", "regression")), help="If a table leaves it open."),
    click.option(
        "--index/--no-index",
        default=None,
        help="Whether the first column of a table numbers its rows; found out, and told, if not given.",
    ),
    folder_option,
    click.option("--dtype", type=click.Choice(("float32", "float64")), default="float32", show_default=True),
    click.option("--engine", type=click.Choice(("auto", "machine", "tape")), default="auto", show_default=True),
    seed_option,
)


def recipe_options(command: Any) -> Any:
    """Everything but what `optlab train` alone has."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def make_recipe(
    dataset: str,
    *,
    rule: str,
    hidden: tuple[int, ...],
    activation: str,
    batch_norm: bool,
    dropout: float,
    init: str,
    weight_decay: float | None,
    augment: str | None,
    val: float,
    test: float | str | None,
    label: str,
    task: str | None,
    index: bool | None,
    data_dir: Path | None,
    dtype: str,
    seed: int,
    lr: float | None = None,
    patience: int | None = None,
    **options: Any,
) -> "Recipe":
    """The recipe of these options, those of `fit` among them under their own names.

    Raises:
        ConfigError: a value that can't be.
    """
    from optlab.data.catalogue import DATASETS
    from optlab.optim.rules import as_settings
    from optlab.train.config import Config
    from optlab.train.recipe import SUFFIXES, Recipe

    source: dict[str, Any] = {"name": dataset, "data_dir": None if data_dir is None else str(data_dir.resolve())}
    if dataset not in DATASETS and Path(dataset).suffix.lower() in SUFFIXES:
        column = int(label) if re.fullmatch(r"-?\d+", label) else label
        source |= {"name": str(Path(dataset).resolve()), "label": column, "task": task}
        source |= {} if index is None else {"index": index}
    given = {name: value for name, value in {"lr": lr, "weight_decay": weight_decay}.items() if value is not None}
    return Recipe(
        source=source,
        split={"val": val, "test": test, "seed": seed},
        model={
            "hidden": [width for width in hidden if width],
            "activation": activation,
            "batch_norm": batch_norm,
            "dropout": dropout,
            "init": init,
            "dtype": dtype,
            "seed": seed,
        },
        config=Config(as_settings(rule, **given), augment=_augment(augment), seed=seed, **options),
        patience=patience,
    )


def _augment(text: str | None) -> "Augment | None":
    """``"shift=2,flip"``: what is not named does not happen."""
    from optlab.data.augment import Augment
    from optlab.errors import ConfigError

    if text is None:
        return None
    options: dict[str, Any] = {"shift": 0}
    for entry in text.split(","):
        name, _, value = (part.strip() for part in entry.partition("="))
        kind = {"shift": int, "noise": float}.get(name)
        try:
            options[name] = kind(value) if kind else value or True
        except ValueError:
            raise ConfigError(f"--augment reads like 'shift=2,flip,noise=0.1', got {text!r}") from None
    return Augment.from_dict(options)
