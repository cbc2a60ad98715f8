"""The documentation's site leads to its gallery (docs/_gallery.py), and a link to nowhere is found (site_check.py)."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from optlab.gallery import Made, ids
from optlab.gallery._made import remember
from optlab.gallery._topics import TOPICS

pytest.importorskip("myst_parser", reason="Sphinx and MyST are not installed: pip install --group docs")

ROOT = Path(__file__).resolve().parents[1]
CONF = f"""
import sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "kernels")!r}, {str(ROOT / "docs")!r}]
extensions, html_theme = ["myst_parser", "_gallery"], "classic"
"""
PAGES = {
    "index": "# All\n\n`optlab gallery sixty` and `sixty`\n\n```{toctree}\nslides/few\nslides/all\ngallery\n```",
    "slides/few": "# Few\n\n`optlab gallery sixty contours --data mnist`, `edge` `contours` `optlab gallery --help`",
    "slides/all": "# All\n\n" + " ".join(f"`{id}`" for id in ids()),
    "gallery": "# Gallery\n\n| id | shows |\n|---|---|\n" + "\n".join(f"| `{id}` | a *{id}* |" for id in ids()),
}
HEAD = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x03\x20\0\0\x01\x2c"  # 800 x 300


def build(folder, **pages):
    """A site of these pages in ``folder``; what Sphinx had to say."""
    for name, text in {"conf.py": CONF, **{f"{k}.md": v for k, v in pages.items()}}.items():
        (folder / "src" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "src" / name).write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "sphinx", "--quiet", str(folder / "src"), str(folder / "site")]
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Built without a gallery and once more with one: the pages of both."""
    folder = tmp_path_factory.mktemp("site")
    shown = []
    for gallery in (False, True):
        if gallery:
            (folder / "site" / "gallery").mkdir()
            remember([Made(id, f"<{id}>", pictures=(f"{id}.png",)) for id in ids()], folder / "site" / "gallery")
            for id in ids():
                (folder / "site" / "gallery" / f"{id}.html").touch()
                (folder / "site" / "gallery" / f"{id}.png").write_bytes(HEAD)
            (folder / "site" / "gallery" / "index.html").touch()
        assert build(folder, **({} if gallery else PAGES)) == ""
        shown.append({name: (folder / "site" / f"{name}.html").read_text(encoding="utf-8") for name in PAGES})
    return folder / "site", *shown


def links(page):
    return re.findall(r'href="((?:\.\./)?gallery/[^"]*)"', page)


def test_without_a_gallery_the_pages_are_as_they_were_written(site):
    _, before, _ = site
    assert not any(links(page) or "<img" in page or "Figures" in page for page in before.values())
    assert before["gallery"].count("<tr") == 1 + len(ids())


def test_the_figures_of_a_command_are_links_at_any_depth_and_bare_ids_on_the_slides(site):
    _, _, pages = site
    assert links(pages["index"]) == ["gallery/sixty.html"]
    text = pages["slides/few"].partition("<h2>")[0]
    assert links(text) == [f"../gallery/{id}.html" for id in ("sixty", "contours", "edge", "contours")]
    code = re.sub(r"</?(span|a)\b[^>]*>", "", text)
    assert "optlab gallery sixty contours --data mnist</code>" in code


def test_a_slide_ends_with_a_card_per_figure_in_the_order_of_naming(site):
    _, _, pages = site
    text = pages["slides/few"].partition("<h2>Figures")[2]
    assert links(text)[:4] == [f"../gallery/{name}.html" for name in ("sixty", "contours", "edge", "index")]
    assert re.findall(r'<img src="(.*)" alt="(.*)" width="800" height="300" loading="lazy">', text) == [
        (f"../gallery/{id}.png", f"&lt;{id}&gt;") for id in ("sixty", "contours", "edge")
    ]
    assert 'href="#figures"' in pages["slides/few"]  # in the page's contents


def test_the_overview_shows_all_figures_by_topic_with_the_words_of_its_table(site):
    _, _, pages = site
    text = pages["gallery"]
    assert "<table" not in text
    assert [name for name in links(text) if name != "gallery/index.html"] == [f"gallery/{id}.html" for id in ids()]
    assert re.findall("<h2>(.*?)<a", text) == [topic.replace("'", "’") for topic in TOPICS]
    assert all(f"a <em>{id}</em>" in text for id in ids())


@pytest.mark.parametrize(
    ("words", "said"),
    [("sixty sixtie", "there is no figure sixtie"), ("sixty --fats", "No such option"), ("x_y", "x_y")],
)
def test_a_command_that_could_not_be_run_is_a_warning(tmp_path, words, said):
    told = build(tmp_path, index=f"# One\n\nSee `optlab gallery {words}`.")
    assert "index.md:3: WARNING" in told
    assert said in told


def test_a_link_to_nowhere_and_a_figure_without_a_link_are_found(site):
    folder, *_ = site
    problems = runpy.run_path(str(ROOT / "scripts" / "site_check.py"))["problems"]
    assert problems(folder) == []
    (folder / "gallery" / "edge.png").unlink()
    assert problems(folder) == [
        "gallery.html: gallery/edge.png is not there",
        "slides/all.html: ../gallery/edge.png is not there",
        "slides/few.html: ../gallery/edge.png is not there",
    ]
    page = folder / "gallery.html"
    page.write_text(page.read_text().replace('href="gallery/edge.html"', 'href="#nowhere"'))
    assert "gallery.html: #nowhere: the page has no such place" in problems(folder)
    assert "gallery.html has no link to the figure edge" in problems(folder)
