"""What the tests of pictures share."""

import matplotlib as mpl
import pytest
from matplotlib import pyplot as plt


@pytest.fixture(autouse=True)
def nothing_global(monkeypatch):
    """No figure stays in pyplot, no setting changes, no window opens."""
    monkeypatch.setattr(plt, "show", lambda *a, **k: pytest.fail("a window was opened"))
    figures, settings = plt.get_fignums(), dict(mpl.rcParams)
    yield
    assert plt.get_fignums() == figures
    assert dict(mpl.rcParams) == settings
