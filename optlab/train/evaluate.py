"""How good a model is on some data: loss and accuracy, in eval mode, batch by batch."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from optlab import nn
from optlab.autograd.modes import no_grad
from optlab.autograd.tensor import Tensor
from optlab.containers import as_array
from optlab.data.checks import features, labels
from optlab.data.dataset import Dataset, Part
from optlab.data.ledger import Ledger
from optlab.data.sealed import Sealed
from optlab.errors import ConfigError, DataError
from optlab.nn.module import Module, precision
from optlab.train.engine import widths

ROWS = 1024  # at a time


@dataclass(frozen=True)
class Score:
    """Mean loss over the rows, the share of labels that were right (None for regression), and the number of rows."""

    loss: float
    accuracy: float | None
    rows: int


def as_part(data: Any, model: Module, trained: bool = True) -> Part:
    """Rows to train on or to look at: a part, a whole data set, or arrays ``(X, y)``, which take the model's dtype.

    Raises:
        ConfigError: something else; a sealed test set.
        DataError: arrays that can't be used.
    """
    if isinstance(data, Part):
        return data
    if isinstance(data, Dataset):
        return data.part()
    if isinstance(data, tuple) and len(data) == 2:
        y = as_array(data[1], "y")
        if y.dtype.kind in "USO":
            raise ConfigError(
                "labels in arrays (X, y) are class numbers; names: data = ol.data.from_arrays(X, y, classes=[...])"
            )
        # a few rows need not have every class
        classes = [str(i) for i in range(max(int(y.max()) + 1, 2))] if y.dtype.kind in "iu" and y.size else None
        dtype = str(precision(model) or "float32")
        # A few rows to look at may lie close together, though those trained on did not.
        x, image = features(data[0], None, dtype, spread=trained)
        wanted, names = labels(y, len(x), classes, dtype, spread=trained)
        return Dataset("arrays", x, wanted, names, image, len(x)).part()
    if isinstance(data, Sealed):
        raise ConfigError(
            'the test set is sealed; open it once, at the end: model.evaluate(test, unseal="final table")'
        )
    raise ConfigError(f"data are a part of a data set, or arrays (X, y), got {type(data).__name__}")


def default_loss(part: Part) -> str:
    """Cross-entropy for classes, squared error for targets."""
    return "cross_entropy" if part.data.classes else "mse"


def check(name: str, part: Part, model: Module, loss: str) -> None:
    """Refuse rows that the model can't be trained or looked at with.

    Raises:
        ConfigError: no rows, another dtype, other widths, or labels that do not go with the loss.
    """
    if not len(part):
        raise ConfigError(f"{name} has no rows")
    data, (inputs, outputs) = part.data, widths(model)
    if bool(data.classes) != (loss == "cross_entropy"):
        kind = "classes" if data.classes else "float targets"
        raise ConfigError(f"{name} has {kind}, which do not go with loss={loss!r}")
    dtype = model.parameters()[0].dtype
    if data.x.dtype != dtype:
        raise ConfigError(
            f"{name} is {data.x.dtype}, the model {dtype}; make one of both alike: data.astype({str(dtype)!r})"
        )
    if data.x.shape[1] != inputs:
        raise ConfigError(f"{name} has {data.x.shape[1]} features, the model takes {inputs}")
    if data.classes and data.outputs > outputs:
        raise ConfigError(f"{name} has {data.outputs} classes, the model only {outputs} outputs")
    if not data.classes and data.outputs != outputs:
        raise ConfigError(f"{name} has {data.outputs} targets per row, the model {outputs} outputs")


def predict(model: Module, data: Any) -> np.ndarray:
    """What the model answers in eval mode, (rows, outputs): logits, or values.

    ``data`` is a part of a data set, which is standardised as its training part was, or numbers (rows, features) in
    any container.
    """
    part = data.part() if isinstance(data, Dataset) else data if isinstance(data, Part) else None
    plain = _table(data) if part is None else part.data.x
    rows = np.arange(len(plain)) if part is None else part.rows
    training = [module.training for module in model.modules()]
    model.eval()
    outputs = []
    try:
        with no_grad():
            for first in range(0, len(rows), ROWS):
                at = rows[first : first + ROWS]
                x = plain[at]
                if part is not None and part.scaler is not None:
                    x = part.scaler(x)
                outputs.append(model(x).data)
    finally:
        for module, mode in zip(model.modules(), training, strict=True):
            module.training = mode
    if not outputs:
        raise ConfigError("there are no rows to look at")
    return np.concatenate(outputs)


def _table(data: Any) -> np.ndarray:
    try:
        x = as_array(data, "the data")
    except DataError:
        x = np.array(None)
    if x.ndim != 2 or x.dtype.kind not in "biuf":
        raise ConfigError(
            f"rows are a part of a data set or numbers (rows, features), got {type(data).__name__} of shape {x.shape}"
        )
    return x


def score(model: Module, data: Any, loss: str | None = None) -> Score:
    """Loss and accuracy on a part of a data set, or on arrays (X, y)."""
    part = as_part(data, model, trained=False)
    loss = loss or default_loss(part)
    check("the data", part, model, loss)
    outputs, wanted = predict(model, part), part.data.y[part.rows]
    with no_grad():
        if loss == "mse":
            return Score(nn.mse(Tensor(outputs), wanted.reshape(outputs.shape)).item(), None, len(part))
        # in float64: the mean of thousands of float32 losses would be rounded each time it grows
        value = nn.cross_entropy(Tensor(outputs.astype(np.float64)), wanted).item()
    return Score(value, float(np.mean(outputs.argmax(1) == wanted)), len(part))


def evaluate(model: Module, data: Any, unseal: str | None = None, *, force: bool = False) -> Score:
    """Loss and accuracy; of a sealed test set once per run directory (or process), with the reason in its log.

    Raises:
        SealError: the test set was opened before; with ``force`` it is opened again, and every report says so.
        ConfigError: a sealed test set and no reason.
    """
    if not isinstance(data, Sealed):
        return score(model, data)
    if unseal is None:
        raise ConfigError(
            'the test set is sealed; say why it is opened now: model.evaluate(test, unseal="final table")'
        )
    check("the test set", data._part, model, default_loss(data._part))  # a mistake must not cost the one look
    ledger = Ledger(model.directory)
    result = score(model, data.open(unseal, ledger, force=force))
    ledger.record_result({"loss": result.loss, "accuracy": result.accuracy, "rows": result.rows})
    return result
