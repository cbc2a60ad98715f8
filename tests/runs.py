"""What the tests of training share: small data, small networks, and what makes two runs the same."""

import numpy as np

import optlab as ol

ROWS, INPUTS, CLASSES = 54, 6, 3


def table(classes=CLASSES, dtype="float64", rows=ROWS, seed=0):
    """Rows around a centre per class, so close that a network neither fails nor gets all right; or float targets."""
    random = np.random.default_rng(seed)
    y = np.arange(rows) % (classes or 1)
    x = random.standard_normal((rows, INPUTS)) + random.standard_normal((max(classes, 1), INPUTS))[y]
    return ol.data.from_arrays(x.astype(dtype), y if classes else np.sin(x[:, :2]).astype(dtype), dtype=dtype)


def pictures(dtype="float64", rows=ROWS):
    random = np.random.default_rng(1)
    x = random.random((rows, 4, 5)).astype(dtype)
    return ol.data.from_arrays(x, np.arange(rows) % 3, dtype=dtype)


def parts(data=None, **options):
    """36 rows to train on, 9 to look at, 9 sealed."""
    return (table() if data is None else data).split(val=9, test=9, **options)


def network(data=None, **options):
    data = table() if data is None else data
    return ol.nn.MLP([data.x.shape[1], 5, data.outputs], **{"dtype": str(data.x.dtype), **options})


class Last(ol.Callback):
    """Keeps the run for the tests."""

    def on_start(self, run):
        self.run = run


def trained(model, train, val=None, *rule, callbacks=(), **options):
    """The `Training` of a fit."""
    last = Last()
    ol.fit(model, train, val, *rule, callbacks=[*callbacks, last], **options)
    return last.run


def contents(run):
    """All numbers of a run that repeat: parameters, buffers, slots, curves."""
    state = run.model.state_dict()
    optimizer = run.optimizer.state_dict()
    state |= {f"slot {name}": value for name, value in optimizer["slots"].items()} | {"controls": optimizer["controls"]}
    state |= {f"epochs {name}": curve for name, curve in run.history.items()}
    return state | {f"steps {name}": curve for name, curve in run.history.steps.items()}


def assert_same(run, want):
    numbers, wanted = contents(run), contents(want)
    assert numbers.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_array_equal(numbers[name], value, err_msg=name, strict=True)
    assert (run.history.status, run.history.reason) == (want.history.status, want.history.reason)
    assert len(run.history.seconds) == run.history.epochs == want.history.epochs
