"""What every page of ours must stand: well formed HTML, no accessibility violation by axe, no request to a network."""

from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest

VOID = {"meta", "link", "img", "br", "input", "source", "path"}
DRAWN = "new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))"
LOOKS = [(width, scheme) for width in (390, 1280) for scheme in ("light", "dark")]


class Outline(HTMLParser):
    """Headings, pictures, links and tables of a page; every element must be closed in turn."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.images, self.links, self.text = [], [], [], [], ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        attributes = dict(attrs)
        assert len(attributes) == len(attrs), f"{tag} has an attribute twice"
        if tag == "img":
            self.images.append(attributes)
        if tag == "a":
            self.links.append(attributes["href"])

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def axe(context):
    """A function that opens a file in both colour schemes at two widths: axe's violations, the page's noise, requests.

    `context` is the browser of tests/players.py.
    """
    pytest.importorskip("axe_playwright_python", reason="axe is not installed: pip install axe-playwright-python")
    source = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    page, found = context.new_page(), []
    page.emulate_media(reduced_motion="reduce")  # nothing plays while it is judged
    for kind in ("pageerror", "dialog"):
        page.on(kind, lambda event: found.append(f"{event}"))
    page.on("console", lambda message: found.append(message.text))
    page.route("**/*", lambda route: _only_files(route, found))

    def check(path):
        found.clear()
        page.goto(Path(path).as_uri())
        page.evaluate(f"{source}; 0")
        for width, scheme in LOOKS:
            page.set_viewport_size({"width": width, "height": 800})
            page.emulate_media(color_scheme=scheme)
            page.evaluate(DRAWN)  # a page's own layout runs with the next frame
            if page.evaluate("document.documentElement.scrollWidth") > width:
                found.append(f"wider than {width}")
            result = page.evaluate("axe.run()")
            assert len(result["passes"]) > 10  # it did look
            found.extend(
                f"{width} {scheme} {rule['id']}: {node['html']} {node['failureSummary']}"
                for rule in result["violations"]
                for node in rule["nodes"]
            )
        return list(found)

    yield check
    page.close()


def _only_files(route, found):
    if route.request.url.startswith(("file:", "data:")):
        route.continue_()
    else:
        found.append(f"asked for {route.request.url}")
        route.abort()
