"""The loop by hand: torch's verbs, what happens to bad gradients (faults.md, row 15), and to anyone's arrays."""

import gc
import re
import weakref

import contracts
import numpy as np
import pytest

import optlab as ol
from optlab.optim.arena import ALIGNMENT
from optlab_kernels.fuse import STATE, G, P

BOTH = pytest.mark.parametrize("dtype", [np.float32, np.float64])
SAVED = [rule() for rule in ol.RULES.values()] + [
    ol.Momentum(nesterov=True, convention="keras"),
    ol.RMSProp(centered=True),
    ol.RMSProp(momentum=0.9, convention="keras"),
    ol.RMSProp(centered=True, momentum=0.9),
    ol.Adagrad(convention="optax", lr_decay=0.1),
    ol.AdamW(0.1, weight_decay=0.5),
]


def tensors(dtype=np.float64):
    """Four tensors of odd shapes; the second has a name."""
    rng = np.random.default_rng(0)
    shapes = [(3,), (2, 5), (), (1, 1, 7)]
    return [ol.Tensor(rng.standard_normal(s).astype(dtype), name="weights" * (s == (2, 5))) for s in shapes]


def pull(optimizer, steps=1, seed=1):
    """Steps on random gradients."""
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        for p in optimizer.params:
            p.grad[...] = rng.standard_normal(p.shape)
        optimizer.step()


def frozen(optimizer):
    """Everything that a step may change, as bytes."""
    return optimizer._array.tobytes(), optimizer._controls.tobytes()


# --- verbs ------------------------------------------------------------------------------------------------------------


@BOTH
def test_the_loop(dtype):
    w = ol.Tensor(np.array([1.0, -1.0], dtype), requires_grad=True)
    optimizer = ol.Optimizer([w], ol.SGD(0.5))
    assert (optimizer.t, optimizer.lr, optimizer.params) == (0, 0.5, [w])
    np.testing.assert_array_equal(w.grad, [0, 0])
    for _ in range(2):
        optimizer.zero_grad()
        w.grad += [1.0, 0.5]  # as a backward pass does
        optimizer.step()
    np.testing.assert_array_equal(w.data, [0.0, -1.5])
    assert optimizer.t == 2
    optimizer.zero_grad()
    np.testing.assert_array_equal(w.grad, [0, 0])
    assert repr(optimizer) == "Optimizer(SGD(lr=0.5), 1 tensors, 2 numbers, t=2)"


@pytest.mark.parametrize("rule", ["adam(lr=0.5)", ol.Adam(0.5), ol.Adam(0.5, convention="paper")])
def test_a_rule_may_be_text_or_settings(rule):
    optimizer = ol.Optimizer(tensors(), rule)
    assert optimizer.settings == ol.Adam(0.5)
    assert ol.Optimizer(tensors(), ol.Adam).settings == ol.Adam()


def test_params_may_be_a_tensor_a_generator_or_a_tuple():
    w = ol.Tensor([1.0])
    for params in (w, (t for t in [w]), (w,), [w]):
        assert ol.Optimizer(params, "sgd").params == [w]


@BOTH
@pytest.mark.parametrize("settings", SAVED, ids=repr)
def test_many_tensors_step_as_one_vector(settings, dtype):
    """Packing changes nothing: the same numbers in one flat tensor take the same steps, bit for bit."""
    several = ol.Optimizer(tensors(dtype), settings)
    flat = ol.Tensor(np.concatenate([t.data.ravel() for t in several.params]))
    one = ol.Optimizer([flat], settings)
    for seed in range(5):
        pull(several, seed=seed)
        flat.grad[...] = np.concatenate([t.grad.ravel() for t in several.params])
        one.step()
        np.testing.assert_array_equal(np.concatenate([t.data.ravel() for t in several.params]), flat.data)
    for slot in settings.variant.slots:
        parts = several.state(slot)
        assert [s.shape for s in parts] == [t.shape for t in several.params]
        np.testing.assert_array_equal(np.concatenate([s.ravel() for s in parts]), one.state(slot)[0])


def test_slots_are_views_under_their_names():
    optimizer = ol.Optimizer(tensors(), "adam")
    pull(optimizer)
    assert all(np.shares_memory(s, optimizer._array) for s in optimizer.state("m"))
    with pytest.raises(ol.ConfigError, match=r"unknown slot 'w'.*Known: m, v"):
        optimizer.state("w")


@pytest.mark.parametrize("settings", SAVED, ids=repr)
def test_maximize_is_a_step_on_the_negative(settings):
    settings = settings.replace(weight_decay=0.0)
    path = contracts.run(settings, np.ones(5), np.arange(50.0).reshape(10, 5), maximize=True)
    np.testing.assert_array_equal(path, contracts.run(settings, np.ones(5), -np.arange(50.0).reshape(10, 5)))


@BOTH
def test_norms_of_the_last_step(dtype):
    optimizer = ol.Optimizer(tensors(dtype), "adam(lr=0.1)", norms=True)
    assert optimizer.norms == {"gradient": 0.0, "update": 0.0, "parameter": 0.0}
    for seed in range(3):
        before = np.concatenate([p.data.ravel() for p in optimizer.params])
        pull(optimizer, seed=seed)
        after, g = (
            np.concatenate([a.ravel() for a in x])
            for x in zip(*((p.data, p.grad) for p in optimizer.params), strict=True)
        )
        want = {"gradient": g, "update": after - before, "parameter": after}
        for name, vector in want.items():  # 21 terms: their rounding errors stay below 21 units
            np.testing.assert_allclose(optimizer.norms[name], np.linalg.norm(vector), rtol=21 * np.finfo(dtype).eps)
    with pytest.raises(ol.ConfigError, match="norms=True"):
        _ = ol.Optimizer(tensors(), "adam").norms


@BOTH
def test_the_rate_is_writable(dtype):
    w = ol.Tensor(np.zeros(1, dtype))
    optimizer = ol.Optimizer([w], ol.SGD(1.0))
    for lr in (0.5, 0, np.float32(0.25), 1e-320, 2):
        optimizer.lr = lr
        w.data[...], w.grad[...] = 0.0, 1.0
        optimizer.step()
        assert optimizer.lr == lr
        assert w.data[0] == dtype(-optimizer.lr)
    assert optimizer.settings == ol.SGD(1.0)


@pytest.mark.parametrize("lr", [-1.0, np.nan, np.inf, 1e300, 10**400, "0.1", "x", True, None, [0.1], 1j], ids=repr)
@pytest.mark.fault(16)
def test_a_bad_rate_is_refused_and_the_old_one_kept(lr):
    optimizer = ol.Optimizer([ol.Tensor([0.0])], ol.SGD(0.5))  # a list: float32, which has no 1e300
    with pytest.raises(ol.ConfigError, match="lr must be"):
        optimizer.lr = lr
    assert optimizer.lr == 0.5


# --- faults.md, row 15 ------------------------------------------------------------------------------------------------

LARGE = {np.float32: 1e38, np.float64: 1e308}
KINDS = {
    "nan": lambda dtype: [np.nan],
    "inf": lambda dtype: [np.inf],
    "-inf": lambda dtype: [-np.inf],
    "denormal": lambda dtype: [np.finfo(dtype).smallest_subnormal],
    "large": lambda dtype: [LARGE[dtype]],
    "0.0": lambda dtype: [0.0],
    "-0.0": lambda dtype: [-0.0],
    "mixed": lambda dtype: [0.0, np.inf, LARGE[dtype], -0.0, np.nan, -np.inf, 1.0, np.finfo(dtype).smallest_subnormal],
}
BAD = {"nan", "inf", "-inf", "mixed"}


@pytest.mark.parametrize("policy", ["raise", "skip", "propagate"])
@BOTH
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ol.RULES)  # row 15 counts six rules (288 cases); here are all
@pytest.mark.fault(15)
def test_extreme_gradients(name, kind, dtype, policy):
    settings = ol.RULES[name]()
    optimizer = ol.Optimizer(tensors(dtype), settings, nonfinite=policy)
    pull(optimizer, steps=2)
    values = KINDS[kind](dtype)
    optimizer.params[1].grad.flat[1 : 1 + len(values)] = values
    before = frozen(optimizer)
    with np.errstate(all="ignore"):
        if policy == "raise" and kind in BAD:
            first = next(v for v in values if not np.isfinite(v))
            with pytest.raises(
                ol.NonFiniteError, match=rf"step 3: .* parameter 1 \(weights\) of shape \(2, 5\) is {first};"
            ):
                optimizer.step()
            assert (frozen(optimizer), optimizer.skipped) == (before, 0)
        elif policy == "skip" and kind in BAD:
            optimizer.step()
            optimizer.step()
            assert (frozen(optimizer), optimizer.skipped, optimizer.t) == (before, 2, 2)
        else:
            want, control = optimizer._array.copy(), optimizer._controls[0].copy()
            contracts.on_arrays(settings.variant, want, control)
            optimizer.step()
            np.testing.assert_array_equal(optimizer._array, want)  # NaN where IEEE arithmetic has one
            numbers = ~np.isnan(want)
            np.testing.assert_array_equal(np.signbit(optimizer._array)[numbers], np.signbit(want)[numbers])
            np.testing.assert_array_equal(optimizer._controls[0], control)
            assert (optimizer.skipped, optimizer.t) == (0, 3)
    if policy != "propagate" and kind in BAD:  # and it goes on
        pull(optimizer)
        assert optimizer.t == 3
        assert np.isfinite(optimizer._array).all()


def test_a_tensor_without_a_name_is_told_by_its_index():
    optimizer = ol.Optimizer(tensors(), "sgd", nonfinite="raise")
    optimizer.params[3].grad[0, 0, 6] = np.nan
    with pytest.raises(
        ol.NonFiniteError, match=re.escape("step 1: the gradient of parameter 3 of shape (1, 1, 7) is nan")
    ):
        optimizer.step()


@pytest.mark.parametrize("policy", ["raises", "", None, True, ["skip"]])
def test_an_unknown_policy_is_refused(policy):
    with pytest.raises(ol.ConfigError, match=r"unknown policy for non-finite gradients.*Known: propagate, raise, skip"):
        ol.Optimizer(tensors(), "sgd", nonfinite=policy)


# --- arrays -----------------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("n", [1, 8, 15, 16, 17, 1001])
def test_rows_start_on_cache_lines_and_tensors_are_views_of_them(dtype, n):
    a, b = ol.Tensor(np.ones(n, dtype)), ol.Tensor(np.ones((n, 2), dtype))
    optimizer = ol.Optimizer([a, b], "adam")
    assert all(row.ctypes.data % ALIGNMENT == 0 for row in optimizer._array)
    for row, views in [(P, (a.data, b.data)), (G, (a.grad, b.grad)), (STATE, optimizer.state("m"))]:
        for view, low, shape in zip(views, (0, n), ((n,), (n, 2)), strict=True):
            assert view.base is not None
            assert view.shape == shape
            assert view.flags.c_contiguous
            assert view.ctypes.data == optimizer._array[row, low:].ctypes.data


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12.0).reshape(3, 4).T,
        np.arange(24.0)[::-2],
        np.asfortranarray(np.arange(12.0, dtype=np.float32).reshape(3, 4)),
        np.broadcast_to(np.float64(3.0), (2, 3)),
        np.array(5.0),
    ],
    ids=["transposed", "reversed", "fortran", "broadcast", "0-d"],
)
@pytest.mark.parametrize("writable", [True, False])
def test_the_callers_array_is_copied_and_left_alone(array, writable):
    array.flags.writeable = writable and array.flags.writeable  # a broadcast array never is
    original = array.copy()
    w = ol.Tensor(array)
    optimizer = ol.Optimizer([w], ol.SGD(1.0))
    np.testing.assert_array_equal(w.data, original)
    w.grad[...] = 1.0
    optimizer.step()
    np.testing.assert_array_equal(w.data, original - 1)
    np.testing.assert_array_equal(array, original)
    assert not np.shares_memory(w.data, array)


@pytest.mark.parametrize("data", [3, 2.5, True, [1, 2], [[1.0], [2.0]], np.arange(3), range(3)])
def test_what_is_no_float_array_becomes_float32(data):
    w = ol.Tensor(data)
    ol.Optimizer([w], "adam").step()
    assert w.dtype == np.float32
    assert w.shape == np.shape(data)
    np.testing.assert_array_equal(w.data, np.asarray(data, np.float32))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ([], "needs at least one tensor, got none"),
        ([np.ones(3)], r"ol.Tensor objects, got ndarray; wrap arrays: ol.Tensor\(w\)"),
        (["weights"], "got str"),
        ([None], "got NoneType"),
        ([ol.Tensor(np.zeros((3, 0)))], r"has no elements: shape \(3, 0\)"),
        ([ol.Tensor(np.zeros(3, "f4")), ol.Tensor(np.zeros(3, "f8"))], "share one dtype, got float32 and float64"),
        ([ol.Tensor([1.0])] * 2, "given twice"),
    ],
)
def test_params_that_can_not_be_packed_are_refused(params, message):
    with pytest.raises(ol.ConfigError, match=message):
        ol.Optimizer(params, "sgd")
    for p in params:
        assert not isinstance(p, ol.Tensor) or p.grad is None, "nothing was packed"


def test_data_and_grad_are_assigned_in_place():
    w = ol.Tensor(np.zeros((2, 3)))
    assert w.grad is None
    w.grad = np.ones((2, 3))
    w.grad = None
    w.grad = np.full((2, 3), 2.0)
    optimizer = ol.Optimizer([w], ol.SGD(1.0))
    np.testing.assert_array_equal(w.grad, 2.0)  # packing keeps a gradient that is there
    data, grad = w.data, w.grad
    w.data, w.grad = np.ones((2, 3)), np.arange(6).reshape(2, 3)
    assert w.data is data
    assert w.grad is grad
    optimizer.step()
    np.testing.assert_array_equal(data, 1.0 - np.arange(6).reshape(2, 3))
    for wrong in (np.ones(6), np.ones((3, 2)), 1.0):
        with pytest.raises(ol.ConfigError, match=r"grad must have the tensor's shape \(2, 3\), got"):
            w.grad = wrong
        with pytest.raises(ol.ConfigError, match=r"data must have the tensor's shape \(2, 3\), got"):
            w.data = wrong
    with pytest.raises(ol.ConfigError, match=r"use optimizer\.zero_grad"):
        w.grad = None
    np.testing.assert_array_equal(w.grad, np.arange(6).reshape(2, 3))


def test_a_newer_optimizer_takes_over():
    w, other = ol.Tensor(np.zeros(3)), ol.Tensor(np.zeros(3))
    older = ol.Optimizer([w, other], ol.SGD(1.0))
    w.grad[...] = 1.0
    older.step()
    newer = ol.Optimizer([w], ol.SGD(0.5))
    np.testing.assert_array_equal(w.data, -1.0)
    np.testing.assert_array_equal(w.grad, 1.0)
    with pytest.raises(ol.ConfigError, match="belong to a newer Optimizer"):
        older.step()
    newer.step()
    np.testing.assert_array_equal(w.data, -1.5)


def test_a_refused_optimizer_leaves_the_older_one_at_work():
    w = ol.Tensor(np.zeros(3, np.float32))
    older = ol.Optimizer([w], ol.SGD(1.0))
    for params, rule, options in [
        ([w, w], "sgd", {}),
        ([w, ol.Tensor(np.zeros(3))], "sgd", {}),
        ([w], "sdg", {}),
        ([w], ol.SGD(1e300), {}),
        ([w], "sgd", {"nonfinite": "no"}),
    ]:
        with pytest.raises(ol.ConfigError):
            ol.Optimizer(params, rule, **options)
    w.grad[...] = 1.0
    older.step()
    np.testing.assert_array_equal(w.data, -1.0)


def test_an_optimizer_out_of_use_is_freed_and_its_tensors_live_on():
    w = ol.Tensor(np.zeros(3))
    first = ol.Optimizer([w], ol.SGD(1.0))
    pull(first)
    data, gone = w.data.copy(), weakref.ref(first)
    del first
    gc.collect()
    assert gone() is None
    np.testing.assert_array_equal(w.data, data)
    pull(ol.Optimizer([w], ol.SGD(1.0)))
    array = weakref.ref(ol.Optimizer([w], "adam").arena)
    ol.Optimizer([w], "sgd")
    gc.collect()
    assert array() is None


# --- saving -----------------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("settings", SAVED, ids=repr)
def test_a_saved_state_continues_bit_for_bit(settings, dtype):
    optimizer = ol.Optimizer(tensors(dtype), settings)
    pull(optimizer, steps=3)
    optimizer.lr = 0.37
    optimizer.skipped = 5
    state, data = optimizer.state_dict(), [p.data.copy() for p in optimizer.params]
    pull(optimizer, steps=3, seed=2)
    end = frozen(optimizer)
    fresh = ol.Optimizer([ol.Tensor(d) for d in data], ol.RULES[settings.name](**settings.to_dict()))
    for again in (optimizer, fresh):
        again.load_state_dict(state)
        assert (again.t, again.lr, again.skipped, again.settings) == (3, 0.37, 5, settings)
        for p, d in zip(again.params, data, strict=True):
            p.data = d
        pull(again, steps=3, seed=2)
        assert frozen(again) == end


def test_a_saved_state_is_a_copy_of_plain_values():
    optimizer = ol.Optimizer(tensors(), "adam")
    state = optimizer.state_dict()
    pull(optimizer)
    assert state["controls"][0, 0] == 0
    assert not state["slots"]["m"].any()
    assert (state["rule"], state["settings"]) == ("adam", [ol.Adam().to_dict()])


def without(state, key, name):
    return {**state, key: {k: v for k, v in state[key].items() if k != name}}


def changed(state, **options):
    return {**state, "settings": [{**state["settings"][0], **options}]}


WRONG = {
    "another rule": lambda s: {**s, "rule": "adamw"},
    "a setting outside its interval": lambda s: changed(s, beta1=2.0),
    "an unknown setting": lambda s: changed(s, beta3=0.5),
    "a slot less": lambda s: without(s, "slots", "v"),
    "a slot more": lambda s: {**s, "slots": {**s["slots"], "u": s["slots"]["m"]}},
    "fewer numbers": lambda s: {**s, "slots": {k: v[:-1] for k, v in s["slots"].items()}},
    "slots of text": lambda s: {**s, "slots": {k: ["x"] * v.size for k, v in s["slots"].items()}},
    "a short control": lambda s: {**s, "controls": s["controls"][:, :-1]},
    "another number of groups": lambda s: {**s, "controls": np.vstack([s["controls"]] * 2)},
    "a control of other columns": lambda s: {**s, "controls": s["controls"] + (np.arange(s["controls"].size) == 2)},
    "a control of text": lambda s: {**s, "controls": "x" * s["controls"].size},
    "no control": lambda s: {k: v for k, v in s.items() if k != "controls"},
    "no count": lambda s: {k: v for k, v in s.items() if k != "skipped"},
}


@pytest.mark.parametrize("change", WRONG.values(), ids=list(WRONG))
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(change):
    optimizer = ol.Optimizer(tensors(), ol.Adam(0.1))
    state = change(optimizer.state_dict())
    pull(optimizer, steps=3)
    before = frozen(optimizer), optimizer.settings, optimizer.skipped
    with pytest.raises((ol.ConfigError, TypeError, ValueError, KeyError)):
        optimizer.load_state_dict(state)
    assert (frozen(optimizer), optimizer.settings, optimizer.skipped) == before


@pytest.mark.parametrize("rule", ["sgd", "momentum", "adam"])
def test_a_state_of_another_number_of_parameters_is_refused(rule):
    """Also where the rule has no slots whose size would tell: columns beyond the arena would be written to."""
    large = ol.Optimizer([ol.Tensor(np.zeros(100))], rule)
    small = ol.Optimizer([ol.Tensor(np.zeros(3))], rule)
    with pytest.raises(ol.ConfigError, match="do not fit"):
        small.load_state_dict(large.state_dict())
    with pytest.raises(ol.ConfigError, match="do not fit"):
        large.load_state_dict(small.state_dict())


def test_a_state_of_another_variant_is_refused():
    centered = ol.Optimizer(tensors(), ol.RMSProp(centered=True)).state_dict()
    with pytest.raises(ol.ConfigError, match="do not fit"):
        ol.Optimizer(tensors(), ol.RMSProp(momentum=0.9)).load_state_dict(centered)


# --- groups and clipping ----------------------------------------------------------------------------------------------


def pair(dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return [ol.Tensor(rng.standard_normal(shape).astype(dtype), requires_grad=True) for shape in ((5, 3), (3,))]


@pytest.mark.parametrize("rule", [ol.SGD(0.1), ol.Adam(0.01), ol.AdamW(0.01), ol.Momentum(0.1)], ids=repr)
def test_groups_equal_optimizers_of_their_own(rule):
    together, apart = pair(), pair()
    options = ({"weight_decay": 0.1}, {"lr": 0.5, "weight_decay": 0.0})
    one = ol.Optimizer([{"params": [t], **o} for t, o in zip(together, options, strict=True)], rule)
    two = [ol.Optimizer([t], rule.replace(**o)) for t, o in zip(apart, options, strict=True)]
    rng = np.random.default_rng(1)
    for _ in range(5):
        for a, b in zip(together, apart, strict=True):
            a.grad = b.grad = rng.standard_normal(a.shape)
        one.step()
        for optimizer in two:
            optimizer.step()
    for a, b in zip(together, apart, strict=True):
        np.testing.assert_array_equal(a.data, b.data)
    assert [group.lr for group in one.groups] == [rule.lr, 0.5]
    one.lr = 0.25
    assert [group.lr for group in one.groups] == [0.25, 0.25]


def test_groups_continue_bit_for_bit():
    def make():
        weights = pair()
        return weights, ol.Optimizer([{"params": weights[0]}, {"params": weights[1], "lr": 0.5}], "adam")

    (a, one), (b, two) = make(), make()
    for t in (*a, *b):
        t.grad[...] = 1.0
    one.step()
    two.load_state_dict(one.state_dict())
    for p, q in zip(a, b, strict=True):
        q.data = p.data
    one.step()
    two.step()
    for p, q in zip(a, b, strict=True):
        np.testing.assert_array_equal(p.data, q.data)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([{"params": []}], "at least one tensor"),
        ([{"weight_decay": 0.1}], "a group of parameters reads"),
        ([{"params": pair(), "weight_decai": 0.1}], "weight_decay"),
        ([{"params": pair(), "lr": -1.0}], r"lr must be in \[0, inf\)"),
        ([{"params": pair()[:1]}, pair()[1]], "a group of parameters reads"),
        ([{"params": pair()[:1]}, {"params": pair()[1:], "momentum": 0.9}], "the same slots"),
    ],
)
def test_a_group_that_cannot_be_is_refused(groups, message):
    with pytest.raises(ol.ConfigError, match=message):
        ol.Optimizer(groups, "rmsprop")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("largest", [0.5, 3.0, 1e6])
def test_clipping_by_norm_is_torchs(dtype, largest):
    torch = pytest.importorskip("torch")
    ours = pair(dtype)
    theirs = [torch.nn.Parameter(torch.from_numpy(t.data.copy())) for t in ours]
    optimizer = ol.Optimizer(ours, ol.SGD(0.1), clip_norm=largest, norms=True)
    stepper = torch.optim.SGD(theirs, lr=0.1)
    rng = np.random.default_rng(1)
    for _ in range(5):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = 3 * rng.standard_normal(a.shape)
            b.grad = torch.from_numpy(a.grad.copy())
        norm = float(torch.nn.utils.clip_grad_norm_(theirs, largest))
        optimizer.step()
        stepper.step()
        np.testing.assert_allclose(optimizer.norms["gradient"], norm, rtol=1e-6)
        np.testing.assert_allclose(optimizer.norms["update"], 0.1 * min(norm, largest), rtol=1e-5)
    for a, b in zip(ours, theirs, strict=True):  # torch divides by |g| + 1e-6
        np.testing.assert_allclose(a.data, b.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_clipping_by_value_leaves_nan_and_comes_before_the_norm():
    w = ol.Tensor(np.zeros(4), requires_grad=True)
    optimizer = ol.Optimizer([w], ol.SGD(1.0), clip_value=2.0, norms=True)
    w.grad = np.array([5.0, -5.0, 1.0, np.nan])
    optimizer.step()
    np.testing.assert_array_equal(w.data, [-2.0, 2.0, -1.0, np.nan])
    v = ol.Tensor(np.zeros(2), requires_grad=True)
    both = ol.Optimizer([v], ol.SGD(1.0), clip_value=3.0, clip_norm=1.0, maximize=True)
    v.grad = np.array([300.0, 400.0])
    both.step()
    np.testing.assert_allclose(v.data, [0.5**0.5] * 2)  # (3, 3) shortened to length 1, upwards
    for wrong in (0.0, -1.0, float("nan"), "1"):
        with pytest.raises(ol.ConfigError, match="clip_norm must be"):
            ol.Optimizer([v], "sgd", clip_norm=wrong)
