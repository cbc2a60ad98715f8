"""The page of the gallery: every figure beside its claims and its code, in one offline file."""

from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optlab.gallery import Made

PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>optlab gallery</title>
<style>
:root { color-scheme: light dark; --ink: #1d2429; --soft: #5b6770; --line: #d9dfe3; --card: #fff; --back: #f4f6f7;
  --good: #00704f; --bad: #b3360b }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaed; --soft: #a3afb8; --line: #39424a; --card: #1d2327;
  --back: #14181b; --good: #4fc59f; --bad: #ff8a5c } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back); margin: 0 auto;
  max-width: 76rem; padding: 1.5rem }
h1, h2 { line-height: 1.2; margin: 0 } a { color: inherit }
nav { margin: .8rem 0 1.5rem; display: flex; flex-wrap: wrap; gap: .4rem 1rem }
section { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: 1.2rem;
  margin-bottom: 1.5rem }
.source { color: var(--soft); margin: .2rem 0 1rem } img { max-width: 100%; height: auto; background: #fff }
.pictures { display: flex; flex-wrap: wrap; gap: 1rem; margin: 1rem 0 }
table { border-collapse: collapse; width: 100%; font-size: .92rem } td, th { text-align: left; vertical-align: top;
  padding: .4rem .7rem .4rem 0; border-top: 1px solid var(--line) } td { overflow-wrap: anywhere }
th:nth-child(2) { width: 38% } th:nth-child(3) { width: 34% }
.pass { color: var(--good); font-weight: 600; white-space: nowrap } .fail { color: var(--bad); font-weight: 600;
  white-space: nowrap } .why { color: var(--soft) } pre { overflow-x: auto; font-size: .82rem }
</style></head><body>
<h1>optlab gallery</h1>
<p class="source">$summary</p><nav>$links</nav>
$sections
</body></html>
""")


def write_page(made: "list[Made]", out: Path) -> Path:
    """Write ``index.html`` beside the pictures; returns its path."""
    verdicts = [v for m in made for v in m.verdicts]
    failed = sum(not v.passed for v in verdicts)
    summary = f"{len(made)} figures, {len(verdicts)} measured claims, {'all hold' if not failed else f'{failed} fail'}."
    page = PAGE.substitute(
        summary=summary,
        links="".join(f'<a href="#{escape(m.id)}">{escape(m.id)}</a>' for m in made),
        sections="\n".join(map(_section, made)),
    )
    path = out / "index.html"
    path.write_text(page, encoding="utf-8")
    return path


def _section(made: "Made") -> str:
    pictures = "".join(
        f'<img src="{escape(p.name)}" alt="{escape(made.title)}: {escape(p.stem)}" loading="lazy">'
        for p in made.pictures
    )
    text = "".join(f"<p>{escape(part)}</p>" for part in made.text.split("\n\n"))
    rows = "".join(
        f"<tr><td class={'pass' if v.passed else 'fail'}>{'✓ holds' if v.passed else '✗ fails'}</td>"
        f"<td>{escape(v.claim)}<br><span class=why>{escape(v.explanation)}</span></td>"
        f"<td>{escape(_show(v.value))}</td><td>{escape(_show(v.threshold))}</td></tr>"
        for v in made.verdicts
    )
    return (
        f'<section id="{escape(made.id)}"><h2>{escape(made.title)}</h2><p class="source">{escape(made.id)} · '
        f"{escape(made.source)}</p>{text}<div class=pictures>{pictures}</div>"
        f"<table><tr><th></th><th>claim</th><th>measured</th><th>held against</th></tr>{rows}</table>"
        f"<details><summary>the code</summary><pre>{escape(made.code)}</pre></details></section>"
    )


def _show(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k}: {_show(v)}" for k, v in value.items())
    return f"{value:.6g}" if isinstance(value, float) else str(value)
