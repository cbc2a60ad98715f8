#!/usr/bin/env python3
"""Every link and picture of the documentation's site that is no address elsewhere is there, and so is every figure.

    python scripts/site_check.py docs/_build

The site is one with its gallery (`scripts/docs.sh`): each figure has a link on a slide's page and on the gallery's.
"""

import argparse
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from optlab.gallery import ids


class Page(HTMLParser):
    """What a page links to and shows, and the places that a link can lead to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.places: set[str] = {""}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Of every element."""
        for name, value in attrs:
            if name in ("href", "src"):
                self.links.add(value or "")
            elif name in ("id", "name"):
                self.places.add(value or "")


def problems(site: Path) -> list[str]:
    """What is not there, a line each."""
    site = site.resolve()
    pages = {path: Page(path) for path in sorted(site.rglob("*.html")) if "_static" not in path.parts}
    found, reached = [], set()
    for path, page in pages.items():
        here = path.relative_to(site)
        for link in sorted(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            reached.add((here.parts[0], target))
            if not target.is_file():
                found.append(f"{here}: {link} is not there")
            elif target in pages and unquote(parts.fragment) not in pages[target].places:
                found.append(f"{here}: {link}: the page has no such place")
    return found + [
        f"{start} has no link to the figure {id}"
        for start in ("slides", "gallery.html")
        for id in ids()
        if (start, site / "gallery" / f"{id}.html") not in reached
    ]


def main() -> int:
    """0 if all is there."""
    parser = argparse.ArgumentParser(description="Look for what the pages of the documentation's site lead to.")
    parser.add_argument("site", type=Path)
    found = problems(parser.parse_args().site)
    print("\n".join(found) or "every link of the site leads somewhere")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
