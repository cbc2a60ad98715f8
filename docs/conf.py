"""How Sphinx makes a site of these pages and of optlab's docstrings; `scripts/docs.sh` runs it."""

import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import literal_strong
from sphinx.util import logging

logger = logging.getLogger(__name__)
root = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(root), str(root / "kernels"), str(root / "docs")]

project = "optlab"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon", "_gallery"]
exclude_patterns = ["_build"]
highlight_language = "text"  # a fence without a language is a session of the shell, or a formula
default_role = "py:obj"
smartquotes_action = "D"  # only dashes: quotes and dots are code as often as not
maximum_signature_line_length = 100
myst_heading_anchors = 3
autosummary_generate = False
autodoc_default_options = {"members": True, "no-value": True}
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
napoleon_use_ivar = True

html_theme = "pydata_sphinx_theme"
html_title = "optlab"
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {
    "navbar_align": "left",
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": [],
    "footer_end": [],
}

MODULES = ("nn", "autograd", "data", "schedules", "search", "objectives")
PUBLIC = ("optlab", *(f"optlab.{name}" for name in MODULES))
SECTION = re.compile(r"(Args|Attributes|Raises|Returns|Yields):")
ARRAY_LIKE = re.compile(r"~?[\w.]*_Buffer \|.*\| ~?[\w.]*_NestedSequence\[complex \| bytes \| str\]")
ND_ARRAY = re.compile(r"~?[\w.]*ndarray\[.*?\]\]")
COLON = "\ue000"  # stands for the first line's, of which napoleon would make a type: `(n, 2): x_t`
NAMES = re.compile(r" +\w+(, \w+)+(?=: )")


def plain_text(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are plain text: `|w|` is no substitution, `classes_` no link, and indented lines keep their shape."""
    if isinstance(thing, dict):  # a registry
        lines[:] = ["By name" + COLON + " " + ", ".join(f"``{key}``" for key in thing) + "."]
        return
    out: list[str] = []
    section = attributes = example = block = False
    for line in lines:
        if line.strip():
            example = line.lstrip().startswith(">>>") or (example and bool(out) and bool(out[-1].strip()))
            indented = line.startswith(" ")
            if not indented:
                section, attributes, block = bool(SECTION.fullmatch(line)), line == "Attributes:", False
            elif not section and not example and not block:
                out += ["", "::", ""]
                block = True
            if attributes and (names := NAMES.match(line)):  # napoleon takes the last one alone for the name
                line = names[0].replace(", ", ",") + line[names.end() :]
            if not example and not block:
                line = escaped(line)
        out.append(line)
    if what == "property" and out:
        out[0] = out[0].replace(":", COLON)
    lines[:] = out


def escaped(text: str) -> str:
    """Outside of backquotes, the characters that would begin markup stand for themselves."""
    return re.sub(r"(`+[^`]*`+)|([*|]|_(?!\w))", lambda found: found[1] or "\\" + found[2], text)


def readable(app: Any, what: str, name: str, thing: Any, options: Any, signature: str, returns: str) -> Any:
    """Defaults that are made anew each time are dots, and NumPy's unions have their names back."""
    if signature is None:
        return None
    signature = ARRAY_LIKE.sub("ArrayLike", signature.replace("<factory>", "..."))
    return signature, returns and ND_ARRAY.sub("ndarray", returns)


def trimmed(app: Any, tree: nodes.document) -> None:
    """Without the empty line that ends an example, which pytest needs; with a space between NAMES, which hid it."""
    for block in tree.findall(nodes.literal_block):
        block.rawsource = block.astext().rstrip()
        block.children = [nodes.Text(block.rawsource)]
    for comma in list(tree.findall(lambda node: isinstance(node, literal_strong) and node.astext() == ",")):
        comma.replace_self(nodes.Text(", "))


def overview(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """After napoleon; a module's page begins with a table of its names."""
    lines[:] = [line.replace(COLON, ":") for line in lines]
    if what == "module" and hasattr(thing, "__all__"):
        lines += ["", ".. autosummary::", "   :nosignatures:", "", *(f"   {each}" for each in thing.__all__)]


def all_documented(app: Any, env: Any) -> None:
    """Every public name has an entry, under one of the modules that have it."""
    entries = {name.rpartition(".")[2] for name in env.domains["py"].objects if name.rpartition(".")[0] in PUBLIC}
    for module in PUBLIC:
        for name in {*import_module(module).__all__} - entries - {"__version__"}:
            if f"{module}.{name}" not in PUBLIC:
                logger.warning("%s.%s is public and has no entry under docs/api", module, name)


def setup(app: Any) -> None:
    """Called by Sphinx."""
    for name in ("descent", "surface", "svm", "training"):  # classes that are called as functions, by what is typed
        getattr(import_module("optlab.objectives"), name).__name__ = name
    app.connect("autodoc-process-signature", readable)
    app.connect("autodoc-process-docstring", plain_text, priority=400)  # before napoleon
    app.connect("autodoc-process-docstring", overview, priority=600)
    app.connect("env-check-consistency", all_documented)
    app.connect("doctree-read", trimmed)
