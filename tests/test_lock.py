"""The lock file holds what pyproject.toml asks for, each package with a hash."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
GROUPS = PROJECT["dependency-groups"]
# torch has builds of its own for the CPU, with other hashes
ASKED = [*PROJECT["project"]["dependencies"], *(one for name in GROUPS if name != "torch" for one in GROUPS[name])]
BLOCK = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)([^\n]*(?:\n    --hash=\S+(?: \\)?)*)", re.MULTILINE)


def locked():
    blocks = BLOCK.finditer((ROOT / "requirements.lock").read_text("utf-8"))
    return [(canonicalize_name(block[1]), block[2], block[3]) for block in blocks]


@pytest.mark.parametrize("text", sorted(set(ASKED)))
def test_what_is_asked_for_is_locked_within_its_bounds(text):
    asked = Requirement(text)
    versions = [version for name, version, _ in locked() if name == canonicalize_name(asked.name)]
    assert versions, f"{asked.name} is not locked; run scripts/lock.sh"
    assert all(asked.specifier.contains(version) for version in versions), versions


def test_every_locked_package_has_hashes():
    blocks = locked()
    assert len(blocks) > 50
    assert [name for name, _, rest in blocks if "--hash=sha256:" not in rest] == []
