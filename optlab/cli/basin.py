"""`optlab basin`: where a rule ends from every start."""

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
    tell_written,
)


@click.command()
@click.argument("surface")
@click.argument("rule")
@click.option("--lr", type=float, help="Learning rate.")
@click.option("--resolution", type=click.IntRange(min=2, max=20_000), default=400, show_default=True)
@click.option("--steps", type=click.IntRange(min=0), default=500, show_default=True)
@click.option("--window", type=float, nargs=4, metavar="X0 X1 Y0 Y1", help="The surface's domain by default.")
@click.option("--target", type=float, default=1e-3, show_default=True, help="f - f_min that counts as arrived.")
@file_option("png", "the map as a picture (SURFACE-RULE.png unless --json)")
@file_option("npz", "the map as arrays")
@out_option
@json_option
@quiet_option
def basin(
    surface: str,
    rule: str,
    lr: float | None,
    resolution: int,
    steps: int,
    window: tuple[float, float, float, float] | None,
    target: float,
    png: Path | None,
    npz: Path | None,
    out: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Map where RULE ends on SURFACE from a grid of starts."""
    import optlab as ol
    from optlab.descent.table import Table
    from optlab.optim.rules import as_settings

    settings = as_settings(rule) if lr is None else as_settings(rule, lr=lr)
    span = ((window[0], window[1]), (window[2], window[3])) if window else None
    hold(out)
    result = ol.basin(surface, settings, resolution, steps, window=span, target=target)
    if png is None and (out is not None or not as_json):
        png = (out or Path()) / f"{result.surface.name}-{settings.name}.png"
    if png is not None:
        tell_written(save_picture(result.plot, png), quiet)
    if npz is not None:
        tell_written(result.save(prepared(npz)), quiet)
    if as_json:
        print_json(result.to_dict())
    elif not quiet:
        summary = result.to_dict()
        rows = [
            {"minimum": f"({x:.4g}, {y:.4g})", "share of starts": f"{100 * share:.1f}%"}
            for (x, y), share in zip(result.surface.minima, result.share, strict=True)
        ]
        rows.append({"minimum": "none", "share of starts": f"{100 * (1 - summary['reached']):.1f}%"})
        print_table(Table(rows), f"{settings!r} on {result.surface.title}, {steps} steps")
