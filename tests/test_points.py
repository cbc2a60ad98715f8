"""Choosing among points: the first ones, then those that keep away."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from optlab_kernels.points import apart

points = arrays.arrays(float, st.tuples(st.integers(1, 30), st.integers(1, 3)), elements=st.floats(0, 1))


@given(points, st.integers(1, 8), st.integers(0, 8), st.floats(0.01, 0.5))
def test_those_chosen_keep_away_and_nobody_is_passed_over(points, room, first, least):
    first = min(first, room)
    rows = np.empty(room, np.int64)
    rows = rows[: apart(points, rows, first, least)]
    distance = np.abs(points[:, None] - points[rows]).max(2)
    assert rows[:first].tolist() == list(range(min(first, len(points))))
    assert (np.diff(rows) > 0).all()
    for row in range(first, len(points)):
        away = distance[row, : np.searchsorted(rows, row)].min(initial=np.inf) > least
        assert (row in rows) == away or (away and len(rows) == room and row > rows[-1])
