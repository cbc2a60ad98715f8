"""Rules and defaults against Keras, in a process of its own."""

import json

import numpy as np
import pytest
from contracts import run
from keras_oracle import run_keras
from parity import BAR, DTYPES, distance, draws, problem, same_defaults, spelled

import optlab as ol

ADAM = "lr beta1 beta2 eps weight_decay", "beta_1=beta1 beta_2=beta2 epsilon=eps"
RMS_KERAS = "rho=alpha epsilon=eps"
KERAS = {
    "sgd": (ol.SGD, {}, "SGD", {}, "lr weight_decay", ""),
    "momentum": (ol.Momentum, {}, "SGD", {}, "lr beta weight_decay", "momentum=beta"),
    "nesterov": (ol.Momentum, {"nesterov": True}, "SGD", {"nesterov": True}, "lr beta weight_decay", "momentum=beta"),
    "adagrad": (
        ol.Adagrad, {}, "Adagrad", {}, "lr eps initial weight_decay", "initial_accumulator_value=initial epsilon=eps",
    ),
    "adadelta": (ol.Adadelta, {}, "Adadelta", {}, "large_lr rho eps weight_decay", "rho epsilon=eps"),
    "rmsprop": (ol.RMSProp, {}, "RMSprop", {}, "lr alpha eps weight_decay", RMS_KERAS),
    "rmsprop-centered": (
        ol.RMSProp, {"centered": True}, "RMSprop", {"centered": True}, "lr alpha eps weight_decay", RMS_KERAS,
    ),
    "rmsprop-momentum": (ol.RMSProp, {}, "RMSprop", {}, "lr alpha eps momentum", RMS_KERAS + " momentum"),
    "rmsprop-both": (
        ol.RMSProp, {"centered": True}, "RMSprop", {"centered": True}, "lr alpha eps momentum", RMS_KERAS + " momentum",
    ),
    "adam": (ol.Adam, {}, "Adam", {}, *ADAM),
    "adamw": (ol.AdamW, {}, "AdamW", {}, *ADAM),
    "amsgrad": (ol.AMSGrad, {}, "Adam", {"amsgrad": True}, *ADAM),
    "nadam": (ol.NAdam, {}, "Nadam", {}, *ADAM),
    "adamax": (ol.Adamax, {}, "Adamax", {}, *ADAM),
    "lion": (ol.Lion, {}, "Lion", {}, "lr beta1 beta2 weight_decay", "beta_1=beta1 beta_2=beta2"),
}  # fmt: skip
KERAS_DRAWS = {"float64": 2, "float32": 1}  # a step of Keras takes 0.4 ms
KERAS_SCRIPT = """
import inspect, json, sys
import keras, numpy as np
jobs, out = json.load(open(sys.argv[1])), {}
data = np.load(sys.argv[2])
for number, (kind, dtype, options) in enumerate(jobs):
    keras.config.set_floatx(dtype)
    p = keras.Variable(data[dtype + "_start"], dtype=dtype)
    optimizer = getattr(keras.optimizers, kind)(**options)
    optimizer.build([p])
    path = [data[dtype + "_start"]]
    for g in data[dtype + "_gradients"]:
        optimizer.apply([keras.ops.convert_to_tensor(g, dtype=dtype)])
        path.append(keras.ops.convert_to_numpy(p.value).copy())
    out[str(number)] = np.array(path)
np.savez(sys.argv[3], **out)
signatures = {
    kind: {
        n: v.default for n, v in inspect.signature(getattr(keras.optimizers, kind).__init__).parameters.items()
        if isinstance(v.default, float | int | None)
    }
    for kind in {job[0] for job in jobs}
}
json.dump(signatures, open(sys.argv[4], "w"))
"""


@pytest.fixture(scope="module")
def keras_runs(tmp_path_factory):
    """Trajectories of Keras's own classes for all rows, draws and dtypes, and its constructors' defaults."""
    folder = tmp_path_factory.mktemp("keras")
    jobs, keys, arrays = [], [], {}
    for dtype in BAR:
        arrays[f"{dtype}_start"], arrays[f"{dtype}_gradients"] = problem(dtype)
        for name, (_, _, kind, theirs, drawn, names) in KERAS.items():
            for i, options in enumerate(draws(kind + drawn, drawn)[: KERAS_DRAWS[dtype]]):
                rest = {"learning_rate": options["lr"], "weight_decay": options.get("weight_decay", 0.0)}
                jobs.append((kind, dtype, {**theirs, **spelled(options, names), **rest}))
                keys.append((name, dtype, i))
    files = [folder / n for n in ("jobs.json", "data.npz", "out.npz", "signatures.json")]
    files[0].write_text(json.dumps(jobs))
    np.savez(files[1], **arrays)
    run_keras(KERAS_SCRIPT, folder, *files)
    with np.load(files[2]) as out:
        paths = {key: out[str(i)] for i, key in enumerate(keys)}
    return paths, json.loads(files[3].read_text())


@DTYPES
@pytest.mark.parametrize("name", KERAS)
def test_keras(keras_runs, name, dtype):
    ours, fixed, kind, _, drawn, _ = KERAS[name]
    start, gradients = problem(dtype)
    for i, options in enumerate(draws(kind + drawn, drawn)[: KERAS_DRAWS[dtype]]):
        settings = ours(**fixed, **{"weight_decay": 0.0, **options}, convention="keras")
        path = run(settings, start, gradients)
        assert distance(path, keras_runs[0][name, dtype, i]) <= BAR[dtype], options


# --- defaults ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", KERAS.values(), ids=list(KERAS))
def test_defaults_are_those_of_keras(keras_runs, row):
    ours, _, kind, _, _, names = row
    same_defaults(ours, "keras", keras_runs[1][kind], names + " learning_rate=lr weight_decay")
    assert ours(convention="keras").decoupled
