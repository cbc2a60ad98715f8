"""Edge verdicts (faults.md, row 30): the right direction where the best stands at an end, and no false alarm."""

import math

import pytest

from optlab.search.edges import edge_verdicts
from optlab.search.sampler import Observation
from optlab.search.samplers.grid import Grid
from optlab.search.samplers.random import Random
from optlab.search.space import Choice, Float, Int, Space

LR = Float(1e-5, 1, log=True)
DECADES = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0]
INF, NAN = math.inf, math.nan


def trials_of(values, losses, name="p"):
    """A trial per value; a loss that is a text is a state without a value, None a trial that runs."""
    trials = []
    for value, loss in zip(values, losses, strict=True):
        state = loss if isinstance(loss, str) else "running" if loss is None else "complete"
        params = {} if value is None else {name: value}
        trials.append(Observation(len(trials), params, math.nan if isinstance(loss, str) else loss, state))
    return trials


# what, parameter, values tried, losses, what the verdict says: "extend ..." is the alarm
CASES = [
    ("low end, log", LR, DECADES, [1, 2, 3, 4, 5, 6], "extend p below 1e-05"),
    ("high end, log", LR, DECADES, [6, 5, 4, 3, 2, 1], "extend p above 1"),
    ("interior, log", LR, DECADES, [3, 2, 1, 2, 3, 4], "interior"),
    ("second from the end, log", LR, DECADES, [2, 1, 3, 4, 5, 6], "interior"),
    ("near the low end, log", LR, [1.05e-5, 1e-3, 0.5], [1, 2, 3], "extend p below 1e-05"),
    ("1.5% inside, log", LR, [1.2e-5, 1e-3, 0.5], [1, 2, 3], "interior"),
    ("1% of the range but many decades up, log", LR, [0.01, 1e-5, 1.0], [1, 2, 3], "interior"),
    ("low end, linear", Float(-1, 1), [-1.0, 0.0, 1.0], [1, 2, 3], "extend p below -1"),
    ("high end, linear", Float(-1, 1), [-1.0, 0.0, 0.999], [3, 2, 1], "extend p above 1"),
    ("low end, int", Int(8, 64), [8, 9, 64], [1, 2, 3], "extend p below 8"),
    ("high end, int with log", Int(8, 256, log=True), [8, 32, 256], [3, 2, 1], "extend p above 256"),
    ("one from the end, int", Int(1, 5), [2, 3, 5], [1, 2, 3], "interior"),
    ("high end, steps", Float(0, 0.5, step=0.1), [0.0, 0.4, 0.5], [3, 2, 1], "extend p above 0.5"),
    ("first of a choice", Choice([1, 2, 3]), [1, 2, 3], [1, 2, 3], None),
    ("last of a choice of texts", Choice(["a", "b"]), ["a", "b"], [2, 1], None),
    ("tie of an end and the inside", LR, DECADES, [1, 1, 3, 4, 5, 6], "interior, and 1 more are as good"),
    ("tie of both ends", LR, DECADES, [1, 2, 3, 4, 5, 1], "interior"),
    ("tie of two trials at the end", LR, [1e-5, 1e-5, 0.1], [1, 1, 2], "extend p below 1e-05"),
    ("flat", LR, DECADES, [1, 1, 1, 1, 1, 1], "interior, and 5 more are as good"),
    ("one value", LR, [1e-5, 1e-5], [1, 2], "was 1e-05 in every trial"),
    ("one trial", LR, [1.0], [1], "was 1 in every trial"),
    ("momentum 0", Float(0, 0.99), [0.0, 0.5, 0.9], [1, 2, 3], "p's own limit"),
    ("the other end of momentum", Float(0, 0.99), [0.0, 0.5, 0.99], [3, 2, 1], "extend p above 0.99"),
    ("a limit that is told", Float(0.1, 1, limits=(0, 1)), [0.1, 0.5, 1.0], [3, 2, 1], "p's own limit"),
    ("short of a limit that is told", Float(0.1, 1, limits=(0, 1)), [0.1, 0.5, 1.0], [1, 2, 3], "extend p below 0.1"),
    ("a limit told beyond 0", Float(0, 1, limits=(-INF, INF)), [0.0, 0.5, 1.0], [1, 2, 3], "extend p below 0"),
    ("1, int with log", Int(1, 64, log=True), [1, 8, 64], [1, 2, 3], "p's own limit"),
    ("1, int", Int(1, 64, limits=(1, INF)), [1, 8, 64], [1, 2, 3], "p's own limit"),
    ("inactive in the best", Float(1, 2, when={"q": 1}), [None, 1.0, 2.0], [1, 2, 3], "not active in the best trial"),
    ("active in some of the best", Float(1, 2, when={"q": 1}), [None, 1.0, 2.0], [1, 1, 3], "interior"),
    ("failures at the end", LR, DECADES, ["failed", NAN, 2, 3, -INF, INF], "the best p, 0.001, is interior"),
    ("what is still running", LR, DECADES, [None, 2, 1, 3, 4, "pruned"], "interior"),
    ("the edge of what did not fail", LR, [1e-5, 1e-3, 1e-1], [1, "failed", "crashed"], "extend p below 1e-05"),
    ("maximised: signs are flipped before", LR, DECADES, [-1, -2, -3, -4, -5, -6], "extend p above 1"),
]  # fmt: skip


@pytest.mark.parametrize(("parameter", "values", "losses", "says"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
@pytest.mark.fault(30)
def test_edge_verdicts(parameter, values, losses, says):
    space = Space(p=parameter, q=Choice([0, 1]))
    verdicts = edge_verdicts(space, trials_of(values, losses))
    if says is None:
        assert verdicts == []
        return
    (verdict,) = verdicts
    assert verdict.id == "edge:p"
    assert says in verdict.explanation
    assert verdict.passed == (not says.startswith("extend"))
    lowest = min(x for x in losses if isinstance(x, int))
    bests = [v for v, x in zip(values, losses, strict=True) if x == lowest and v is not None]
    assert verdict.value == (bests[0] if bests else None)
    assert verdict.threshold == f"inside ({parameter.low:g}, {parameter.high:g})"


LINEAR, LAYERS = Float(0.1, 0.9), Int(1, 4)
# name, parameter, the best value, whether it is an alarm, what the advice asks
NAMES = [
    *((name, LAYERS, 1, False, False) for name in ("n_layers", "hidden", "batch_size", "epochs", "depth", "max_depth")),
    *((name, LAYERS, 1, False, False) for name in ("hidden2", "units_1", "m.num_layers", "nLayers", "a__max_iter")),
    *((name, LAYERS, 4, True, False) for name in ("n_layers", "hidden", "batch_size")),
    *((name, LAYERS, end, True, True) for name in ("k", "level", "log2_hidden") for end in (1, 4)),
    ("n_layers", Int(2, 8), 2, True, False),  # one layer can be tried
    ("n_layers", Int(-3, 8), -3, True, True),  # whatever that is
    *((name, Float(0.1, 1.0), 1.0, False, False) for name in ("dropout", "momentum", "beta2", "drop_prob")),
    *((name, LINEAR, end, True, False) for name in ("dropout", "beta", "optimizer.momentum") for end in (0.1, 0.9)),
    ("beta", Float(0.1, 4.0), 4.0, True, True),  # another beta
    *((name, LR, end, True, False) for name in ("lr", "C", "gamma", "alpha", "weight_decay") for end in (1e-5, 1.0)),
    ("gamma", LINEAR, 0.9, True, True),  # of what kind?
    ("x", LR, 1e-5, True, False),  # a smaller one is there
    ("x", LR, 1.0, True, True),
    ("x", LINEAR, 0.1, True, True),
    ("x", Float(0.1, 0.9, limits=(0, 1)), 0.9, True, False),
]  # fmt: skip


@pytest.mark.parametrize(("name", "parameter", "best", "alarm", "asks"), NAMES)
@pytest.mark.fault(30)
def test_a_bound_of_nature_is_no_alarm_and_an_unknown_one_a_question(name, parameter, best, alarm, asks):
    inside = parameter.value(0.5)
    (verdict,) = edge_verdicts(Space({name: parameter}), trials_of([best, inside], [1, 2], name))
    assert verdict.passed is not alarm
    assert f"extend {name} " in verdict.explanation if alarm else "own limit" in verdict.explanation
    assert (f", if {name} can be " in verdict.explanation) == asks


def test_nothing_complete_no_verdict():
    assert edge_verdicts(Space(p=LR), trials_of(DECADES[:3], ["failed", None, "pruned"])) == []
    assert edge_verdicts(Space(p=LR), []) == []


def test_a_pruned_trial_is_not_the_best_whatever_it_reported():
    trials = [*trials_of([1e-3, 1e-5], [2, 3]), Observation(2, {"p": 1e-5}, 1.0, "pruned")]
    assert edge_verdicts(Space(p=LR), trials)[0].value == 1e-3


def test_one_verdict_per_number():
    space = Space(lr=LR, rule=Choice(["a", "b"]), beta=Float(0, 0.9))
    trials = [Observation(0, {"lr": 1.0, "rule": "a", "beta": 0.0}, 1.0, "complete"),
              Observation(1, {"lr": 0.1, "rule": "b", "beta": 0.9}, 2.0, "complete")]  # fmt: skip
    assert [(v.id, v.passed) for v in edge_verdicts(space, trials)] == [("edge:lr", False), ("edge:beta", True)]


# --- the edge of a grid is not the edge of the space ------------------------------------------------------------------


def searched(sampler, space, loss, trials=200):
    sampler.bind(space)
    seen = []
    while len(seen) < trials and (points := sampler.propose([len(seen)], seen)):
        seen.append(Observation(len(seen), points[0], loss(points[0]["p"]), "complete"))
    return edge_verdicts(space, seen, sampler.ranges(seen))[0]


@pytest.mark.parametrize(
    ("parameter", "options", "loss", "says"),
    [
        (LR, {"p": [1e-3, 1e-2, 1e-1]}, lambda p: p, "extend p below 0.001"),
        (LR, {"p": [1e-3, 1e-2, 1e-1]}, lambda p: -p, "extend p above 0.1"),
        (LR, {"p": [1e-3, 1e-2, 1e-1]}, lambda p: abs(math.log10(p) + 2), "interior"),
        (LR, {"p": [1e-3, 1e-2, 1e-1], "extend": True}, lambda p: abs(math.log10(p) + 4), "interior"),
        (LR, {"p": [1e-3, 1e-2, 1e-1], "extend": True}, lambda p: p, "extend p below 1e-05"),
        (LR, {"p": [1e-3, 1e-2], "extend": True, "bounds": {"p": (1e-4, 1)}}, lambda p: p, "extend p below 0.0001"),
        (Float(0, 1), {"p": [0.5, 0.7], "extend": True}, lambda p: p, "p's own limit"),
        (Float(0, 1), {"p": [0.5, 0.7]}, lambda p: p, "extend p below 0.5"),
        (Float(0, 1), {"p": [0.7]}, lambda p: p, "in every trial"),
        (Int(1, 512, log=True), {"p": [32, 64], "extend": True}, lambda p: p, "p's own limit"),
    ],
)
@pytest.mark.fault(30)
def test_a_grids_verdicts(parameter, options, loss, says):
    verdict = searched(Grid(**options), Space(p=parameter), loss)
    assert says in verdict.explanation
    assert verdict.passed == (not says.startswith("extend"))


def test_random_search_raises_few_false_alarms_and_finds_true_edges():
    def alarms(loss):
        return sum(not searched(Random(seed), Space(p=LR), loss, 30).passed for seed in range(100))

    assert alarms(lambda p: (math.log10(p) + 2.5) ** 2) == 0
    assert alarms(lambda p: math.sin(1e6 * p)) <= 6  # noise: 2% a parameter, by the width of the two ends
    assert (
        sum("above 1" in searched(Random(seed), Space(p=LR), lambda p: -p, 300).explanation for seed in range(50)) > 42
    )
