"""`optlab race`: several rules on one surface."""

from pathlib import Path

import click

from optlab.cli.common import (
    file_option,
    hold,
    json_option,
    out_option,
    prepared,
    print_json,
    print_table,
    quiet_option,
    save_picture,
    seed_option,
    tell_written,
)


@click.command()
@click.argument("surface")
@click.argument("rules", nargs=-1, required=True)
@click.option("--lr", type=float, help="Learning rate of every rule that names none.")
@click.option("--steps", type=click.IntRange(min=0), default=300, show_default=True)
@click.option("--start", type=float, nargs=2, help="Where to start: X Y; the surface's own by default.")
@click.option("--noise", type=float, default=0.0, help="Standard deviation of Gaussian gradient noise.")
@click.option("--tune", type=click.IntRange(min=1), help="Tune each rule first, with this many trials.")
@click.option("--starts", type=click.IntRange(min=1), default=16, show_default=True, help="Starts per trial (--tune).")
@click.option("--target", type=float, default=1e-3, show_default=True, help="f - f_min to be reached.")
@file_option("png", "the paths and losses as a picture")
@file_option("gif", "an animation")
@file_option("html", "an offline page: play, scrub, hover")
@out_option
@seed_option
@json_option
@quiet_option
def race(
    surface: str,
    rules: tuple[str, ...],
    lr: float | None,
    steps: int,
    start: tuple[float, float] | None,
    noise: float,
    tune: int | None,
    starts: int,
    target: float,
    png: Path | None,
    gif: Path | None,
    html: Path | None,
    out: Path | None,
    seed: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Race RULES on SURFACE (see `optlab surfaces`, `optlab rules`).

    A rule is a name, or a name with options: 'adam(lr=0.1, convention=keras)'. With --out, everything is written
    there: picture, animation, page, and the record of every run as CSV.
    """
    import optlab as ol
    from optlab.optim.rules import as_settings

    entrants = [as_settings(rule) if lr is None else as_settings(rule, lr=lr) for rule in rules]
    hold(out)
    result = ol.race(
        surface, entrants, start or None, steps, tune=tune, starts=starts, target=target, noise=noise, seed=seed
    )
    if out is not None:
        stem = result.surface.name
        png, gif, html = png or out / f"{stem}.png", gif or out / f"{stem}.gif", html or out / f"{stem}.html"
        for i, run in enumerate(result.runs.values()):
            tell_written(run.save(prepared(out / f"{stem}-{i + 1}-{run.settings.name}.csv")), quiet)
    if png is not None:
        tell_written(save_picture(result.plot_panels, png), quiet)
    if gif is not None:
        tell_written(result.animate(prepared(gif)), quiet)
    if html is not None:
        tell_written(result.html(prepared(html)), quiet)
    if as_json:
        print_json(result.to_dict())
    elif not quiet:
        print_table(result.table, f"{result.surface.title}, {steps} steps")
