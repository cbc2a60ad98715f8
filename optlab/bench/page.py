"""`python -m optlab.bench.page RECORDS PAGE`: the page of benchmarks and its pictures, from records alone.

The same records give the same text: a test compares the committed page with the committed records.
"""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from optlab.bench.columns import COST, PAIRS, RANKS, TIMES, logarithm, plain, table
from optlab.bench.pictures import draw, drawn
from optlab.bench.record import Record, read
from optlab.bench.sections import ABOUT, AGAIN, COST_ALT, COSTS, RATIOS_ALT, REGRET_ALT, REGRETS, SECTIONS, Section
from optlab.errors import OptlabError
from optlab.files import write_whole

FEW = 12  # goals that are shown without being asked for


def render(records: Mapping[str, Record]) -> str:
    """The page."""
    picture = [f"![{RATIOS_ALT}](pictures/bench-ratios.png)", ""] * ("bench-ratios" in drawn(records))
    lines = [ABOUT, "", *picture, *_summary(records), "", "## Where", "", *_where(records)]
    for name, section in SECTIONS.items():
        if name in records:
            made = records[name]
            body = (
                _search(records) if name == "search" else [section.text, "", *_pictures(records, section), *_rows(made)]
            )
            lines += ["", f"## {section.heading}", "", *body, "", *_goals(made), "", *_how(made)]
    if absent := [section.heading for name, section in SECTIONS.items() if name not in records]:
        lines += ["", f"Not measured yet: {', '.join(absent)}."]
    return "\n".join([*lines, "", AGAIN]) + "\n"


def _summary(records: Mapping[str, Record]) -> list[str]:
    """Goals by table, and those that were missed."""
    rows = []
    for name, section in SECTIONS.items():
        if name in records:
            marks = [row["mark"] for row in _marked([records[name]])]
            anchor = section.heading.lower().replace(" ", "-")
            link = f"[{section.heading}](#{anchor})"
            rows.append({"table": link, "met": marks.count("met"), "missed": marks.count("missed")})
    every = _marked(records[name] for name in SECTIONS if name in records)
    missed = [row for row in every if row["mark"] == "missed"]
    lines = table(rows, {"": plain("table"), "goals met": plain("met"), "missed": plain("missed")})
    if missed:
        lines += ["", "Missed:", "", *table(missed, {"table": plain("table"), "measured": plain("text")})]
    return lines


def _where(records: Mapping[str, Record]) -> list[str]:
    machines = dict.fromkeys(
        f"{made['processor']} {made['machine'].split(';')[0]}".strip() for made in records.values()
    )
    caches = dict.fromkeys(
        ", ".join(f"{k} {v // 1024:,} KiB" for k, v in made["caches"].items()) for made in records.values()
    )
    versions: dict[tuple[str, str], list[str]] = {}
    for name, made in records.items():
        for package, version in made["versions"].items():
            versions.setdefault((package, version), []).append(name)
    rows = [
        {"package": package, "version": version, "in": "all" if len(names) == len(records) else ", ".join(names)}
        for (package, version), names in versions.items()
    ]
    return [
        f"{'; '.join(machines)}; caches {'; '.join(caches)}.",
        "",
        *table(rows, {"package": plain("package"), "version": plain("version"), "in the tables": plain("in")}),
    ]


def _rows(made: Record) -> list[str]:
    rows = made["rows"]
    every = dict.fromkeys(key for row in rows for key in row)
    return table(rows, TIMES.get(made["table"], {key: plain(key) for key in every}))


def _search(records: Mapping[str, Record]) -> list[str]:
    made, lines = records["search"], []
    there = drawn(records)
    if "cost" in made:
        lines += ["### Time", "", COSTS, "", f"![{COST_ALT}](pictures/bench-cost.png)", "", *table(made["cost"], COST)]
    if made.get("ranks"):
        picture = [f"![{REGRET_ALT}](pictures/bench-regret.png)", ""] * ("bench-regret" in there)
        lines += ["", "### Regret", "", REGRETS, "", *picture]
        lines += ["The cells that every sampler has; rank 1 is best.", "", *table(made["ranks"], RANKS), ""]
        lines += ["In pairs, over all cells that the other has.", "", *table(made["pairs"], PAIRS), ""]
        names = dict.fromkeys(key for row in made["medians"] for key in row if key != "problem")
        columns = {"problem": plain("problem"), **{name: logarithm(name) for name in names}}
        lines += ["Medians of log10 of the final regret.", "", *table(made["medians"], columns)]
    return lines


def _pictures(records: Mapping[str, Record], section: Section) -> list[str]:
    there = drawn(records)
    return [
        line
        for name, alt in section.pictures.items()
        if name in there
        for line in (f"![{alt}](pictures/{name}.png)", "")
    ]


def _goals(made: Record) -> list[str]:
    """All of them, met or not; many of them behind a line to open."""
    rows = _marked([made])
    lines = table(rows, {"goal": plain("mark"), "measured": plain("text")})
    if not rows:
        return ["No goals."]
    if len(rows) <= FEW:
        return lines
    return [f"<details><summary>The {len(rows)} goals</summary>", "", *lines, "", "</details>"]


def _marked(records: Iterable[Record]) -> list[dict[str, str]]:
    """What is marked as met or missed, and the remarks."""
    rows = []
    for made in records:
        for goal in made["goals"]:
            mark, text = goal[:6].strip(), goal[7:]
            marked = mark in ("met", "MISSED")
            rows.append(
                {"table": made["table"], "mark": mark.lower() if marked else "", "text": text if marked else goal}
            )
    return rows


def _how(made: Record) -> list[str]:
    forced = ", ".join(f"{name}={value}" for name, value in made["environment"].items() if name.startswith("OPENBLAS"))
    blas = "; ".join(made["BLAS"]) + (f", told by {forced}" if forced else "")
    return [f"`{made['command']}`, {made['date']}, {made['clock']}. Threads: {made['threads']}. BLAS: {blas}."]


def main() -> None:
    """Write the page, and its pictures beside it."""
    folder, page = map(Path, sys.argv[1:])
    try:
        records = read(folder)
    except OptlabError as error:
        sys.exit(f"Error: {error}")
    write_whole(page, render(records))
    for path in (page, *draw(records, page.parent / "pictures")):
        print(path)


if __name__ == "__main__":
    main()
