"""Fetching published files over https, each checked against its sha256 before it gets its name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from optlab.data.published import Download, Published, folders
from optlab.errors import DataError

CHUNK = 1 << 16
TIMEOUT = 30.0  # seconds without a byte
Report = Callable[[int], None]


def fetch(published: Published, data_dir: str | Path | None = None, report: Report = lambda count: None) -> Path:
    """Bring the set's files into the first folder where it is looked for; those already right are left alone.

    A file is written under another name and renamed when its sha256 is right, so that no partial file is ever seen
    and two processes may fetch at once. Only https is used, also after redirects. ``report`` is told the bytes as
    they come, up to the sum of ``downloads``' sizes.

    Raises:
        DataError: no pooch, no network, a refusal, a wrong file, an unwritable folder; the message has the manual step.
    """
    try:
        import pooch
    except ImportError:
        advice = published.advice(folders(data_dir)[0] / published.name).partition(", or ")[2]
        raise DataError(f"fetching needs pooch: pip install 'optlab[data]', or {advice}") from None
    folder = folders(data_dir)[0] / published.name
    log = pooch.get_logger()
    for file in published.downloads:
        url, digest = published.url + file.name, f"sha256:{file.sha256}"
        level = log.level
        log.setLevel("WARNING")  # it announces every download, also under --quiet
        try:
            pooch.retrieve(url, digest, file.name, folder, downloader=_downloader(file, report))
        except (OSError, ValueError) as error:  # requests' errors are OSError, a wrong hash is ValueError
            raise DataError(f"could not fetch {url}: {_line(error)}; or put it into {folder} by hand") from None
        finally:
            log.setLevel(level)
    return folder


def _downloader(file: Download, report: Report) -> Callable[..., None]:
    import requests  # which pooch needs, too

    def download(url: str, output: str, _: Any) -> None:
        if not url.startswith("https://"):
            raise ValueError("only https addresses are used")
        left = file.bytes
        plain = {"Accept-Encoding": "identity"}
        hooks = {"response": _stay_secure}
        with requests.get(url, stream=True, timeout=TIMEOUT, headers=plain, hooks=hooks) as response:
            response.raise_for_status()
            with open(output, "wb") as target:
                for piece in response.iter_content(CHUNK):
                    left -= len(piece)
                    if left < 0:
                        raise ValueError("the answer is longer than the published file")
                    target.write(piece)
                    report(len(piece))

    return download


def _stay_secure(response: Any, **_: Any) -> None:
    """Called for every answer before a redirect in it is followed."""
    if response.is_redirect and not (to := urljoin(response.url, response.headers["location"])).startswith("https://"):
        response.close()
        raise ValueError(f"redirected to {to}, which is not https")


def _line(error: Exception) -> str:
    """The reason in one line; requests wraps it in the story of its retries."""
    cause = getattr(error.args[0], "reason", None) if error.args else None
    return " ".join(str(getattr(error, "strerror", None) or cause or error).split())
