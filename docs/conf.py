"""How Sphinx makes a site of these pages and of optlab's docstrings; `scripts/docs.sh` runs it."""

import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from sphinx.util import logging

logger = logging.getLogger(__name__)
root = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(root), str(root / "kernels")]

project = "optlab"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
highlight_language = "text"  # a fence without a language is a session of the shell, or a formula
default_role = "py:obj"
maximum_signature_line_length = 100
myst_heading_anchors = 3
autosummary_generate = False
autodoc_default_options = {"members": True, "no-value": True}
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_mock_imports = ["optuna"]
napoleon_use_ivar = True

html_theme = "pydata_sphinx_theme"
html_title = "optlab"
html_copy_source = False
html_theme_options = {
    "navbar_align": "left",
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": [],
    "footer_end": [],
}

MODULES = ("nn", "autograd", "data", "schedules", "search", "objectives", "sklearn")
PUBLIC = ("optlab", *(f"optlab.{name}" for name in MODULES))
SECTION = re.compile(r"(Args|Attributes|Raises|Returns|Yields):")


def plain_text(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are read in a terminal: `|w|` is no substitution, `classes_` no link, indented lines keep their shape."""
    if isinstance(thing, dict):  # a registry
        lines[:] = ["By name: " + ", ".join(f"``{key}``" for key in thing) + "."]
        return
    out: list[str] = []
    section = example = block = False
    for line in lines:
        if line.strip():
            example = line.lstrip().startswith(">>>") or (example and bool(out) and bool(out[-1].strip()))
            indented = line.startswith(" ")
            if not indented:
                section, block = bool(SECTION.fullmatch(line)), False
            elif not section and not example and not block:
                out += ["", "::", ""]
                block = True
            if not example and not block:
                line = "".join(part if part.startswith("`") else escaped(part) for part in re.split(r"(`+[^`]*`+)", line))
        out.append(line)
    lines[:] = out


def escaped(text: str) -> str:
    return re.sub(r"[*|]|_(?![\w:,])", r"\\\g<0>", text)


def overview(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """A module's page begins with a table of its names."""
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
    app.connect("autodoc-process-docstring", plain_text, priority=400)  # before napoleon
    app.connect("autodoc-process-docstring", overview, priority=600)
    app.connect("env-check-consistency", all_documented)
