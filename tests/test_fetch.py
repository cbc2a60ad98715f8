"""Fetching from a server of our own, over real TLS: faults leave no file behind and say what to do by hand."""

import hashlib
import os
import shutil
import ssl
import subprocess
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

import optlab as ol
from optlab.cli import _code, cli
from optlab.cli.data import data as data_command
from optlab.data.catalogue import DATASETS
from optlab.data.fetch import fetch
from optlab.data.published import Download

pytest.importorskip("pooch")

CONTENTS = np.random.default_rng(0).bytes(300_000)
CUTS = (0, 1, 1023, 1024, 65_535, 65_536, 100_000, 200_000, 299_998, 299_999)
ROOT = Path(__file__).parents[1]


class Handler(BaseHTTPRequestHandler):
    """The first part of the address says what to do: good, cut-N, wrong, long, missing, insecure or moved."""

    seen: tuple[str, ...] = ()

    def do_GET(self):
        Handler.seen += (self.path,)
        kind, _, name = self.path[1:].partition("/")
        if kind in ("insecure", "moved"):
            scheme = "http" if kind == "insecure" else "https"
            self.send_response(302)
            self.send_header("Location", f"{scheme}://localhost:{self.server.server_port}/good/{name}")
            self.end_headers()
        elif kind == "missing":
            self.send_error(404)
        else:
            body = {"wrong": CONTENTS[:-1] + b"x", "long": CONTENTS * 9}.get(kind, CONTENTS)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: int(kind[4:])] if kind.startswith("cut-") else body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    def handle_error(self, *_):
        """A client that had enough hung up; the test that runs by then need not read about it."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of a https server, whose certificate is trusted for the time being."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the test server's certificate, and is not there")
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "cert.pem"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    )
    subprocess.run([*command.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with pytest.MonkeyPatch.context() as patch, Server(("localhost", 0), Handler) as https:
        patch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        patch.setenv("NO_PROXY", "localhost")
        https.socket = context.wrap_socket(https.socket, server_side=True)
        serving = threading.Thread(target=https.serve_forever, daemon=True)
        serving.start()
        yield f"https://localhost:{https.server_port}"
        https.shutdown()
        serving.join()


def published(url, names=("a.gz",)):
    digest = hashlib.sha256(CONTENTS).hexdigest()
    return replace(DATASETS["mnist"], url=url, downloads=tuple(Download(n, len(CONTENTS), digest) for n in names))


def test_a_fetched_file_appears_whole(server, tmp_path):
    """Under its name only when complete; one that is right is not fetched again, and a wrong one is replaced."""
    path, counted = tmp_path / "mnist/a.gz", []

    def report(count):
        assert not path.exists()
        counted.append(count)

    assert fetch(published(f"{server}/good/"), tmp_path, report) == tmp_path / "mnist"
    assert sum(counted) == len(CONTENTS)
    assert path.read_bytes() == CONTENTS
    requests = len(Handler.seen)
    fetch(published(f"{server}/missing/"), tmp_path)
    assert len(Handler.seen) == requests
    path.write_bytes(b"wrong")
    fetch(published(f"{server}/moved/"), tmp_path)
    assert path.read_bytes() == CONTENTS
    assert list(path.parent.iterdir()) == [path]


FAULTS = {
    **{f"cut at {n}": (f"cut-{n}", ".") for n in CUTS},
    "wrong hash": ("wrong", "hash of downloaded file|does not match"),
    "not found": ("missing", "404"),
    "redirect to http": ("insecure", "redirected to http://.*, which is not https"),
    "longer than published": ("long", "longer than the published file"),
}


@pytest.mark.parametrize(("kind", "message"), FAULTS.values(), ids=FAULTS)
@pytest.mark.fault(21)
def test_a_fault_leaves_no_file_and_says_what_to_do(kind, message, server, tmp_path):
    address = f"{server}/{kind}/"
    with pytest.raises(ol.DataError, match=message) as caught:
        fetch(published(address), tmp_path)
    text = str(caught.value)
    assert text.startswith(f"could not fetch {address}a.gz: ")
    assert text.endswith(f"; or put it into {tmp_path / 'mnist'} by hand")
    assert "\n" not in text
    assert list(tmp_path.rglob("*.*")) == []
    assert not any(path.is_file() for path in tmp_path.rglob("*"))
    assert f"/{kind}/a.gz" in Handler.seen


@pytest.mark.fault(21)
def test_the_second_file_fails_and_the_first_stays(server, tmp_path):
    fetch(published(f"{server}/good/"), tmp_path)
    with pytest.raises(ol.DataError, match=r"b\.gz: 404"):
        fetch(published(f"{server}/missing/", ("a.gz", "b.gz")), tmp_path)
    assert (tmp_path / "mnist/a.gz").read_bytes() == CONTENTS


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://localhost:1/", "refused"),
        ("https://no-such-host.invalid/", "resol|name"),
        ("http://localhost:1/", "only https"),
        ("file:///etc/", "only https"),
    ],
)
@pytest.mark.fault(21)
def test_offline_or_insecure(url, message, tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(ol.DataError, match=f"(?i){message}.*by hand") as caught:
        fetch(published(url), tmp_path)
    assert "\n" not in str(caught.value)
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


@pytest.mark.fault(21)
def test_two_processes_at_once(server, tmp_path):
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, 'tests');"
        "from test_fetch import published; from optlab.data.fetch import fetch;"
        "fetch(published(sys.argv[1] + '/good/', ('a.gz', 'b.gz')), sys.argv[2])"
    )
    path = os.pathsep.join([str(ROOT), str(ROOT / "kernels")])
    start = [sys.executable, "-c", code, server, str(tmp_path)]
    both = [subprocess.Popen(start, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    files = sorted((tmp_path / "mnist").iterdir())
    assert [file.name for file in files] == ["a.gz", "b.gz"]
    assert all(file.read_bytes() == CONTENTS for file in files)


@pytest.mark.fault(21)
def test_without_pooch_it_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(
        ol.DataError, match=r"pip install 'optlab\[data\]', or download a.gz from https://x/ into .*mnist"
    ):
        fetch(published("https://x/"), tmp_path)


def test_the_command(server, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(cli.commands, "data", data_command)
    monkeypatch.setitem(DATASETS, "mnist", published(f"{server}/good/"))
    monkeypatch.setenv("OPTLAB_DATA", str(tmp_path))
    assert _code(["data", "fetch", "mnist"]) == 0
    assert capsys.readouterr() == ("", f"mnist is in {tmp_path / 'mnist'}\n")
    monkeypatch.setitem(DATASETS, "mnist", published(f"{server}/wrong/"))
    assert _code(["data", "fetch", "mnist", "--data-dir", str(tmp_path / "other")]) == 3
    assert capsys.readouterr().err.startswith("optlab: could not fetch")


@pytest.mark.fault(21)
def test_every_published_file_has_a_sha256_and_a_secure_address():
    sets = [entry for entry in DATASETS.values() if hasattr(entry, "downloads")]
    assert len(sets) == 3
    for entry in sets:
        assert entry.url.startswith("https://")
        assert all(len(bytes.fromhex(d.sha256)) == 32 and d.bytes > 0 for d in entry.downloads)
        assert all(len(bytes.fromhex(digest)) == 32 for digest in entry.contents.values())
