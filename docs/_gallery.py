"""Links from the site's pages to the gallery beside them, and pictures of the figures that a page names.

`scripts/docs.sh` makes the gallery into the site's folder first; without it the pages stay as they are written.
"""

import re
import struct
from collections.abc import Iterable
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

import click
from docutils import nodes
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

from optlab.cli.gallery import gallery
from optlab.gallery import ids
from optlab.gallery._made import FIGURES, Made, remembered
from optlab.gallery._page import INDEX
from optlab.gallery._topics import in_order, topic_of

logger = logging.getLogger(__name__)
COMMAND = "optlab gallery "
IDS = frozenset(ids())


class Gallery(SphinxTransform):
    """While a page is read, so that the new headings are in its contents."""

    default_priority = 400

    def apply(self, **kwargs: Any) -> None:
        """Link the names of figures, and show the figures on the pages that are about them."""
        page = self.env.docname
        slide, overview = page.startswith("slides/"), page == "gallery"
        literals = {one: named(one, slide or overview) for one in self.document.findall(nodes.literal)}
        order = dict.fromkeys(id for found in literals.values() for id in found)
        if not order:
            return
        out = Path(self.app.outdir) / "gallery"
        self.env.note_dependency(out / FIGURES)  # made later or again: the page is read again
        made = {one.id: one for one in remembered(out) if one.id in IDS}
        for literal, found in literals.items():
            if linked := made.keys() & found:
                self.link(literal, linked)
        if slide and (shown := [made[id] for id in order if id in made]):
            section = headed("Figures", cards(map(self.card, shown)), self.index())
            next(self.document.findall(nodes.section)).append(section)
        if overview:
            self.illustrate(made)

    def uri(self, file: str) -> str:
        """Of a file of the gallery, from this page."""
        return "../" * self.env.docname.count("/") + f"gallery/{file}"

    def link(self, literal: nodes.literal, linked: set[str]) -> None:
        """Make each of these ids in the code a link, and leave the rest as it is."""
        words = re.split(r"(\s+)", literal.astext())
        literal.clear()
        literal += [self.reference(word, f"{word}.html") if word in linked else nodes.Text(word) for word in words]

    def reference(self, text: str, file: str, **options: Any) -> nodes.reference:
        """A link to a file of the gallery."""
        return nodes.reference("", text, refuri=self.uri(file), internal=True, **options)

    def index(self) -> nodes.paragraph:
        """A link to the gallery's own first page."""
        said = nodes.Text(", with how its claims came out.")
        return nodes.paragraph("", "", self.reference("The whole gallery", INDEX), said)

    def card(self, made: Made, *said: nodes.Node) -> nodes.list_item:
        """Picture, title, what is said of it, id and claims; the title is the one link, stretched over all of it."""
        still = next((name for name in made.pictures if name.endswith(".png")), "")
        picture = nodes.raw("", self.picture(still, made.title) if still else "", format="html")
        title = self.reference(made.title, f"{made.id}.html", classes=["stretched-link"])
        facts = nodes.paragraph("", "", nodes.literal("", made.id), nodes.Text(f" {made.summary()}"))
        return nodes.list_item("", picture, nodes.paragraph("", "", title), *said, facts)

    def picture(self, file: str, title: str) -> str:
        """With its size, so that nothing jumps when it comes."""
        head = (Path(self.app.outdir) / "gallery" / file).read_bytes()[:24]
        width, height = struct.unpack(">II", head[16:])
        size = f'width="{width}" height="{height}"'
        return f'<img src="{self.uri(file)}" alt="{escape(title)}" {size} loading="lazy">'

    def illustrate(self, made: dict[str, Made]) -> None:
        """Cards by topic in place of the table of all figures; what the table says of each is on its card."""
        for table in list(self.document.findall(nodes.table)):
            said = {row[0].astext(): row[1].children for row in table.findall(nodes.row)}
            if (shown := said.keys() & IDS) and shown <= made.keys():
                topics = [
                    headed(topic, cards((self.card(made[id], *said[id]) for id in group), "thumbnails"))
                    for topic, group in groupby(in_order(shown), topic_of)
                ]
                table.parent.replace(table, [self.index(), *topics])


def cards(items: Iterable[nodes.list_item], *classes: str) -> nodes.bullet_list:
    """The list of them."""
    return nodes.bullet_list("", *items, classes=["figures", *classes])


def headed(heading: str, *content: nodes.Node) -> nodes.section:
    """A section."""
    return nodes.section("", nodes.title("", heading), *content, ids=[nodes.make_id(heading)])


def named(literal: nodes.literal, bare: bool) -> list[str]:
    """The figures that code names: in a command, or with ``bare`` by nothing but an id."""
    text = literal.astext()
    if not text.startswith(COMMAND):
        return [text] if bare and text in IDS else []
    try:
        words = gallery.make_context(COMMAND, text.removeprefix(COMMAND).split()).params["ids"]
    except click.ClickException as error:
        logger.warning("`%s`: %s", text, error.format_message(), location=literal)
        return []
    except click.exceptions.Exit:  # --help
        return []
    for word in sorted({*words} - IDS):
        logger.warning("`%s`: there is no figure %s", text, word, location=literal)
    return [word for word in words if word in IDS]


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_transform(Gallery)
    return {"parallel_read_safe": True}
