"""Search spaces: no bias in the draws, exact return trips, conditions, and all mistakes told at once."""

import math
import pickle
import re

import numpy as np
import pytest
from examples import SPACE as FACE
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from optlab.errors import ConfigError
from optlab.search.sampler import generator
from optlab.search.space import Choice, Column, Float, Int, Space

DRAWS = generator(0, "trial", 0).random(40_000)

# --- distributions ----------------------------------------------------------------------------------------------------


def log_cells(low, high):
    """The documented law of an Int with log."""
    width = math.log((high + 0.5) / (low - 0.5))
    return {v: math.log((v + 0.5) / (v - 0.5)) / width for v in range(low, high + 1)}


def even(values):
    return dict.fromkeys(values, 1 / len(values))


@pytest.mark.parametrize(
    ("parameter", "law"),
    [
        (Int(0, 1), even([0, 1])),
        (Int(-3, 6), even(range(-3, 7))),
        (Int(8, 64, step=8), even(range(8, 65, 8))),
        (Float(0, 0.5, step=0.1), even([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])),
        (Choice(["a", "b", "c"]), even("abc")),
        (Choice([None, True, 2.5, "x", 7]), even([None, True, 2.5, "x", 7])),
        (Int(1, 2, log=True), log_cells(1, 2)),
        (Int(1, 30, log=True), log_cells(1, 30)),
        (Int(8, 40, log=True), log_cells(8, 40)),
    ],
    ids=repr,
)
def test_discrete_draws_follow_their_law_at_the_ends_too(parameter, law):
    drawn = [parameter.value(u) for u in DRAWS]
    counts = [drawn.count(v) for v in law]
    assert sum(counts) == len(drawn)
    assert stats.chisquare(counts, [p * len(drawn) for p in law.values()]).pvalue > 1e-3
    for end in (0, -1):
        want = list(law.values())[end] * len(drawn)
        assert abs(counts[end] - want) < 4 * math.sqrt(want)


@pytest.mark.parametrize(
    "parameter", [Float(-2, 5), Float(1e-5, 1, log=True), Float(3e-100, 1e100, log=True)], ids=repr
)
def test_continuous_draws_follow_scipys_distribution(parameter):
    law = stats.loguniform if parameter.log else stats.uniform
    law = law(parameter.low, parameter.high if parameter.log else parameter.high - parameter.low)
    drawn = [parameter.value(u) for u in DRAWS]
    assert stats.kstest(drawn, law.cdf).pvalue > 1e-3


def test_decades_are_drawn_alike():  # figures.md, decades: 7,000 log-uniform draws over 10^[-6, 1]
    lr = Float(1e-6, 10, log=True)
    counts = np.histogram([math.log10(lr.value(u)) for u in DRAWS[:7000]], 7, (-6, 1))[0]
    assert (abs(counts - 1000) < 5 * math.sqrt(1000 * 6 / 7)).all()
    linear = Float(1e-6, 10)
    assert np.mean([linear.value(u) > 1 for u in DRAWS]) == pytest.approx(0.9, abs=0.01)


# --- return trips -----------------------------------------------------------------------------------------------------

finite = st.floats(allow_nan=False, allow_infinity=False, width=64)
unit = st.floats(0, 1)


@st.composite
def floats(draw):
    low, high = sorted((draw(finite), draw(finite)))
    if draw(st.booleans()):
        low, high = sorted((abs(low), abs(high)))
        assume(0 < low < high)
        return Float(low, high, log=True)
    assume(low < high and math.isfinite(high - low))
    return Float(low, high)


@st.composite
def stepped(draw):
    step = draw(st.sampled_from([0.1, 0.25, 1 / 3, 1e-5, 7.0, 1e6]))
    low, n = draw(st.integers(-1000, 1000)) * step, draw(st.integers(1, 500))
    return Float(low, low + n * step, step=step)


@st.composite
def ints(draw):
    log = draw(st.booleans())
    low = draw(st.integers(1 if log else -(10**12), 10**12 - 1))
    high = draw(st.integers(low + 1, min(10**12, low + draw(st.sampled_from([1, 5, 1000, 10**12])))))
    step = None if log else draw(st.sampled_from([d for d in (1, 2, 3, 7) if (high - low) % d == 0]))
    return Int(low, high, log=log, step=step)


choices = st.lists(st.one_of(st.text(max_size=3), st.integers(-9, 9), st.none()), min_size=1, max_size=9, unique=True)
parameters = st.one_of(floats(), stepped(), ints(), choices.map(Choice))


@given(parameters, unit, st.sampled_from([0.0, 5e-324, 1e-300, 1e-17, 0.5, 1 - 2**-53, 1.0]))
def test_decode_of_encode_is_exact_for_every_value_that_decode_gives(parameter, u, special):
    for x in (u, special):
        value = parameter.value(x)
        found = []
        assert parameter.normalised(value, "p", found) == value, found
        assert type(parameter.normalised(value, "p", found)) is type(value)
        back = parameter.unit(value)
        assert 0.0 <= back <= 1.0
        assert parameter.value(back) == value
        assert not found


@pytest.mark.parametrize("ends", [(0.1, 1e3), (1e-5, 10.0), (0.9, 1.1), (1e-300, 1e300)])
def test_log_ranges_around_1_come_back_exactly(ends):  # there rounding puts 1 in 76 inverses beside their u
    parameter = Float(*ends, log=True)
    values = [parameter.value(u) for u in DRAWS[:5000]]
    assert [parameter.value(parameter.unit(v)) for v in values] == values


@given(floats())
def test_ends_are_reached_exactly(parameter):
    assert (parameter.value(0.0), parameter.value(1.0)) == (parameter.low, parameter.high)
    assert (parameter.unit(parameter.low), parameter.unit(parameter.high)) == (0.0, 1.0)


@given(floats(), unit)
def test_a_value_of_ones_own_comes_back_to_rounding(parameter, share):
    value = min(max(parameter.low + share * (parameter.high - parameter.low), parameter.low), parameter.high)
    back = parameter.value(parameter.unit(value))
    scale = abs(value) * 800 if parameter.log else max(abs(parameter.low), abs(parameter.high))
    assert back == pytest.approx(value, rel=0, abs=4 * np.finfo(float).eps * scale + 5e-324)


@pytest.mark.parametrize("parameter", [Int(-4, 9), Int(1, 300, log=True), Int(0, 21, step=3), Float(0, 1, step=0.05)])
def test_every_level_comes_back_and_levels_ascend(parameter):
    values = sorted({parameter.value(u) for u in np.linspace(0, 1, 200_001)})
    assert len(values) == parameter.levels
    assert [parameter.value(parameter.unit(v)) for v in values] == values
    assert [parameter.unit(v) for v in values] == sorted({parameter.unit(v) for v in values})
    assert values[0] == parameter.low
    assert values[-1] == parameter.high


def test_steps_are_the_decimals_one_writes():
    assert [Float(0, 1, step=0.1).value((i + 0.5) / 11) for i in range(11)] == [i / 10 for i in range(11)]
    assert Float(0, 1, step=1 / 3).levels == 4
    assert Float(0, 1, step=1 / 3).value(1.0) == 1.0


@given(st.lists(unit, min_size=5, max_size=5))
def test_a_whole_space_comes_back(u):
    params = FACE.decode(u)
    assert FACE.check(params) == params
    assert FACE.decode(FACE.encode(params)) == params
    assert ("beta" in params) == (params["rule"] == "momentum")
    assert list(params) == [name for name in FACE if name in params]
    if "beta" not in params:
        assert FACE.encode(params)[4] == 0.5


def test_columns():
    want = [("lr", "float", None, True), ("batch_size", "int", 249, True), ("hidden", "int", 8, False)]
    want += [("rule", "choice", 3, False), ("beta", "float", None, False)]
    assert FACE.columns == [Column(*column) for column in want]


@pytest.mark.parametrize(
    "u", [[0.5] * 4, [0.5] * 6, [[0.5] * 5], [0.5] * 4 + [math.nan], [0.5] * 4 + [1.01], [-1e-9] * 5]
)
def test_a_point_outside_the_cube_is_refused(u):
    with pytest.raises(ConfigError, match=r"a point of this space is 5 numbers in \[0, 1\]"):
        FACE.decode(u)


# --- conditions -------------------------------------------------------------------------------------------------------

NESTED = Space(
    gamma=Float(1e-3, 1, log=True, when={"kernel": "rbf", "model": ["svm", "tree"]}),
    kernel=Choice(["linear", "rbf"], when={"model": "svm"}),
    model=Choice(["svm", "tree"]),
    depth=Int(1, 3, when={"model": "tree"}),
    leaf=Int(1, 9, when={"depth": [2, 3]}),
)


@pytest.mark.parametrize(
    ("params", "active"),
    [
        ({"model": "svm", "kernel": "rbf"}, {"model", "kernel", "gamma"}),
        ({"model": "svm", "kernel": "linear"}, {"model", "kernel"}),
        ({"model": "tree", "depth": 1}, {"model", "depth"}),
        ({"model": "tree", "depth": 2}, {"model", "depth", "leaf"}),
        ({"model": "tree", "depth": 3, "kernel": "rbf"}, {"model", "depth", "leaf"}),  # of an inactive parent nothing
        ({"kernel": "rbf"}, {"model"}),
    ],
)
def test_a_condition_needs_an_active_parent_and_its_value(params, active):
    assert NESTED.active(params) == active


def test_parents_come_first_whatever_the_order():
    order = NESTED.parents_first
    assert sorted(order) == sorted(NESTED)
    assert all(order.index(parent) < order.index(name) for name in order for parent in NESTED[name].when or ())


# --- check ------------------------------------------------------------------------------------------------------------


def test_check_makes_plain_types_in_the_spaces_order():
    given_ = {"beta": np.float32(0.5), "rule": np.str_("momentum"), "hidden": np.int64(16), "batch_size": 8, "lr": 1}
    params = FACE.check(given_)
    assert list(params) == list(FACE)
    assert [type(v) for v in params.values()] == [float, int, int, str, float]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": 2}, "lr must be in [1e-05, 1.0], got 2.0"),
        ({"lr": "0.1"}, "lr must be a number, got '0.1'"),
        ({"lr": True}, "lr must be a number, got True"),
        ({"lr": math.nan}, "lr must be a number, got nan"),
        ({"lr": 10**400}, "lr must be a number"),
        ({"batch_size": 8.0}, "batch_size must be a whole number, got 8.0"),
        ({"batch_size": 7}, "batch_size must be in [8, 256], got 7"),
        ({"hidden": 12}, "hidden must be 8 plus a whole number of steps 8, got 12"),
        ({"rule": "adm"}, "rule must be one of 'sgd', 'momentum', 'adam', got 'adm'"),
        ({"rule": ["sgd"]}, "rule must be one of"),
        ({"beta": 0.9}, "beta is not active: it needs rule = 'momentum'"),
        ({"rule": "momentum"}, "beta is missing"),
        ({"lrr": 1}, "lrr is unknown; did you mean 'lr'?"),
        ({3: 1}, "3 is unknown; known: lr, batch_size"),
    ],
)
def test_check_says_what_is_wrong(change, message):
    params = {"lr": 0.1, "batch_size": 8, "hidden": 8, "rule": "sgd"}
    assert FACE.check(params) == params
    with pytest.raises(ConfigError, match=re.escape(message)):
        FACE.check(params | change)


def test_check_tells_all_at_once():
    with pytest.raises(ConfigError) as error:
        FACE.check({"lr": 2, "hidden": 9, "rule": "x", "foo": 1})
    assert [key for key, _ in error.value.found] == ["foo", "lr", "hidden", "rule"]
    assert pickle.loads(pickle.dumps(error.value)).found == error.value.found
    with pytest.raises(ConfigError, match="are a dictionary"):
        FACE.check([0.1])


# --- construction -----------------------------------------------------------------------------------------------------

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Float(1, 1), "low must be less than high, got low = 1.0 and high = 1.0"),
        (lambda: Float("1e-5", 1), "low must be a finite number, got '1e-5'"),
        (lambda: Float(0, NAN), "high must be a finite number, got nan"),
        (lambda: Float(-INF, True), "high must be a finite number, got True"),
        (lambda: Float(-1e308, 1e308), "high - low must be a finite number"),
        (lambda: Float(0, 1, log=True), "low must be greater than 0 on a log scale, got 0.0"),
        (lambda: Float(0.1, 1, log=1), "log must be true or false, got 1"),
        (lambda: Float(0.1, 1, log=True, step=0.1), "step can't be combined with log"),
        (lambda: Float(0, 1, step=0.3), "step must lead from 0.0 to 1.0 in whole steps, got 0.3: the last is 0.9"),
        (lambda: Float(0, 1, step=2), "step must lead from"),
        (lambda: Float(0, 1, step=0), "step must be a number greater than 0, got 0"),
        (lambda: Float(0, 1, step=5e-324), "step gives more than 1e+12 values"),
        (lambda: Float(0, 1, limits=(0.5, 1)), "limits must contain low and high"),
        (lambda: Float(0, 1, limits=3), "limits must be two numbers such as [0, 1] or [0, inf], got 3"),
        (lambda: Float(0, 1, when={}), "when must name other parameters"),
        (lambda: Float(0, 1, when={"a": []}), "when.a must be a value or a list of values, got []"),
        (lambda: Int(1.0, 2), "low must be a whole number, got 1.0"),
        (lambda: Int(True, 2), "low must be a whole number, got True"),
        (lambda: Int(0, 10**13), "high must be within +-1e+12"),
        (lambda: Int(0, 10**5000), "high must be within +-1e+12, got a number of thousands of digits"),
        (lambda: Int(0, 10, step=3), "step must lead from 0 to 10 in whole steps, got 3: the last is 9"),
        (lambda: Int(0, 10**10 + 1, step=10), "step must lead from"),
        (lambda: Int(0, 10, step=10**400), "step must be at most 1e+12"),
        (lambda: Int(0, 10, step=0.5), "step must be a whole number greater than 0, got 0.5"),
        (lambda: Choice([]), "is empty; it needs at least one value"),
        (lambda: Choice("abc"), "must be a list of values, got 'abc'"),
        (lambda: Choice(["a", "b", "a"]), "[2] is 'a' as [0] is; each value comes once"),
        (lambda: Choice([1, True]), "[1] is True as [0] is"),
        (lambda: Choice([1.0, NAN]), "[1] must be a text, a finite number, True, False or None, got nan"),
        (lambda: Choice([(1, 2)]), "name larger things and look them up in the objective"),
        (lambda: Choice(["\ud800"]), "[0] must be a text"),
        (lambda: Space(), "the space: needs at least one parameter"),
        (lambda: Space(lr=0.1), "lr must be Float, Int or Choice, got 0.1"),
        (lambda: Space({"": Float(0, 1)}), "is no name: ''"),
        (lambda: Space({3: Float(0, 1)}), "is no name: 3"),
        (lambda: Space(a=Int(0, 3, when={"b": 1})), "a.when.b is unknown"),
        (lambda: Space(a=Int(0, 3, when={"a": 1})), "a.when depends on itself"),
        (lambda: Space(a=Int(0, 3, when={"b": 1}), b=Int(0, 3, when={"a": 1})), "2 mistakes"),
        (lambda: Space(a=Int(0, 3, when={"b": 1}), b=Float(0, 3)), "a.when.b is a continuous range"),
        (lambda: Space(a=Int(0, 3, when={"b": 9}), b=Int(0, 3)), "a.when.b must be in [0, 3], got 9"),
        (lambda: Space(a=Int(0, 3, when={"rul": 1}), rule=Int(0, 3)), "a.when.rul is unknown; did you mean 'rule'?"),
    ],
)  # fmt: skip
def test_what_is_no_space_is_refused_with_advice(make, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        make()


def test_all_mistakes_of_a_parameter_come_at_once():
    with pytest.raises(ConfigError) as error:
        Float("a", NAN, log="yes", step=-1, limits=(1,), when=3)
    assert [key for key, _ in error.value.found] == ["low", "high", "step", "log", "limits", "when"]
    assert str(error.value).startswith("Float: 6 mistakes\n  - low must be a finite number, got 'a'\n")


@pytest.mark.parametrize("space", [FACE, NESTED, Space({"a b": Float(0, 0.9, limits=(0, INF), step=0.1)})])
def test_forms_and_copies_are_equal(space):
    assert Space.from_dict(space.to_dict()) == space
    assert pickle.loads(pickle.dumps(space)) == space
    assert hash(Space.from_dict(space.to_dict())) == hash(space)
    assert len(space.digest) == 64


def test_the_digest_sees_every_difference():
    spaces = [
        Space(a=Float(0, 1)), Space(b=Float(0, 1)), Space(a=Float(0, 2)), Space(a=Int(0, 1)), Space(a=Choice([0, 1])),
        Space(a=Float(0.5, 1)), Space(a=Float(0.5, 1, log=True)), Space(a=Float(0, 1, step=0.5)),
        Space(a=Float(0, 1, limits=(0, 1))), Space(a=Int(0, 1), b=Int(0, 1)), Space(b=Int(0, 1), a=Int(0, 1)),
        Space(a=Int(0, 1), b=Int(0, 1, when={"a": 1})),
    ]  # fmt: skip
    assert len({space.digest for space in spaces}) == len(spaces)
    assert Space(a=Float(0, 1)) == Space(a=Float(0.0, np.float64(1)))
    with pytest.raises(AttributeError):
        spaces[0]["a"].low = 3
