"""`fit` with the manners of scikit-learn: `MLPClassifier` and `MLPRegressor` for pipelines and grid searches."""

import copy
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_array, check_random_state
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from optlab import streams
from optlab.data.dataset import Dataset
from optlab.data.scaler import Scaler
from optlab.errors import ConfigError, DataError
from optlab.nn.layers import MLP
from optlab.optim.rules import as_settings
from optlab.optim.settings import Settings
from optlab.schedules import Schedule
from optlab.train.callbacks import Callback, EarlyStopping
from optlab.train.fit import fit
from optlab.train.history import History

if TYPE_CHECKING:
    from optlab.train.training import Training

DTYPES = ("float32", "float64")


class _Continue(Callback):
    """Goes on from an optimizer's state and a history, and keeps the optimizer's state for the next time."""

    def __init__(self, state: dict[str, Any] | None, history: History | None) -> None:
        self.state, self.history = state, history

    def on_start(self, run: "Training") -> None:
        """Take over. The number of epochs done decides on the order of the rows; the rate may be a new one."""
        if self.state is None or self.history is None:
            return
        name, (settings,), rule = self.state["rule"], self.state["settings"], run.config.rule
        if name != rule.name or settings != {**rule.to_dict(), "lr": settings["lr"]}:
            raise ConfigError(f"partial_fit goes on with the {name} it began with, but for lr; {rule!r} needs fit")
        run.optimizer.load_state_dict(self.state)
        run.optimizer.lr = rule.lr
        run.history.restore(self.history.state())
        run.epoch = self.history.epochs
        run.epochs += run.epoch

    def on_end(self, run: "Training") -> None:
        """Keep."""
        self.state = run.optimizer.state_dict()


class _Perceptron(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """What both estimators share: the parameters, the scaling of X, training, going on."""

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (32,),
        *,
        activation: str = "relu",
        rule: Settings | str | None = None,
        lr: float | None = None,
        epochs: int = 100,
        batch_size: int = 32,
        schedule: Schedule | str | None = None,
        l1: float = 0.0,
        l2: float = 0.0,
        dropout: float = 0.0,
        batch_norm: bool = False,
        clip_norm: float | None = None,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        patience: int = 10,
        standardize: bool = True,
        dtype: str = "float32",
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.rule = rule
        self.lr = lr
        self.epochs = epochs
        self.batch_size = batch_size
        self.schedule = schedule
        self.l1 = l1
        self.l2 = l2
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.clip_norm = clip_norm
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.standardize = standardize
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose

    # --- what the two differ in ---------------------------------------------------------------------------------------

    def _learn_targets(self, y: np.ndarray, rows: np.ndarray, classes: Any) -> int:
        """Learn what ``y`` means, from these rows where it is about sizes; how many outputs that takes."""
        raise NotImplementedError

    def _encoded(self, y: np.ndarray) -> tuple[np.ndarray, tuple[str, ...], dict[str, Any]]:
        """``y`` as a data set has it, the names of its classes, and options of `fit`."""
        raise NotImplementedError

    # --- training -----------------------------------------------------------------------------------------------------

    def _fit(self, X: Any, y: Any, **checks: Any) -> Self:
        """Train a new model."""
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], **checks)
        rows, held, seed = np.arange(len(X)), None, _seed(self.random_state)
        if self.early_stopping:
            strata = y if isinstance(self, ClassifierMixin) else None
            size = self.validation_fraction
            rows, held = train_test_split(rows, test_size=size, random_state=seed, stratify=strata)
        model = self._new(X, y, rows, seed)
        return self._train(model, X, y, rows, held, self.epochs, _Continue(None, None))

    def _partial_fit(self, X: Any, y: Any, classes: Any = None, **checks: Any) -> Self:
        """One more epoch of the model there is, or the first of a new one."""
        for name in ("early_stopping", "schedule"):
            if getattr(self, name):
                raise ConfigError(f"partial_fit does not know how many epochs will come: {name} needs fit")
        first = not hasattr(self, "model_")
        X, y = validate_data(self, X, y, reset=first, dtype=[np.float64, np.float32], **checks)
        rows = np.arange(len(X))
        if first:
            model = self._new(X, y, rows, _seed(self.random_state), classes)
            return self._train(model, X, y, rows, None, 1, _Continue(None, None))
        return self._train(self.model_, X, y, rows, None, 1, _Continue(self._optimizer, self.history_))

    def _new(self, X: np.ndarray, y: np.ndarray, rows: np.ndarray, seed: int, classes: Any = None) -> MLP:
        if self.dtype not in DTYPES:
            raise ConfigError(f"dtype is one of {', '.join(DTYPES)}, got {self.dtype!r}")
        outputs = self._learn_targets(y, rows, classes)
        self.scaler_ = Scaler.fit(X, rows) if self.standardize else None
        self._seed = seed
        hidden = np.atleast_1d(self.hidden_layer_sizes).tolist()
        return MLP(
            [X.shape[1], *hidden, outputs],
            activation=self.activation,
            batch_norm=self.batch_norm,
            dropout=self.dropout,
            dtype=self.dtype,
            seed=seed,
        )

    def _train(
        self,
        model: MLP,
        X: np.ndarray,
        y: np.ndarray,
        rows: np.ndarray,
        held: np.ndarray | None,
        epochs: int,
        course: _Continue,
    ) -> Self:
        rule = as_settings("adam" if self.rule is None else self.rule)
        targets, classes, options = self._encoded(y)
        data = Dataset("X", self._inputs(X), targets, classes, None, len(X))
        trained = copy.deepcopy(model)  # its parameters become views of an optimizer's memory, which need not be kept
        history = fit(
            trained,
            data.part(rows),
            None if held is None else data.part(held),
            rule if self.lr is None else rule.replace(lr=self.lr),
            epochs=epochs,
            batch_size=self.batch_size,
            seed=self._seed,
            schedule=self.schedule,
            l1=self.l1,
            l2=self.l2,
            clip_norm=self.clip_norm,
            callbacks=[course] if held is None else [course, EarlyStopping(self.patience)],
            verbose=self.verbose,
            **options,
        )
        model.load_state_dict(trained.state_dict())
        self.model_ = model.eval()
        self._optimizer = course.state
        self.history_ = _by_epoch(history)
        self.n_iter_ = history.epochs
        self.loss_curve_ = history["train_loss"].tolist()
        if history.status == "diverged":
            what = "training diverged and predictions mean little; take a lower lr, or clip_norm"
            streams.warn(f"{what} ({history.reason})", ConvergenceWarning, stacklevel=4)
        return self

    # --- predicting ---------------------------------------------------------------------------------------------------

    def _inputs(self, X: np.ndarray) -> np.ndarray:
        """Standardised in the precision that X came in, then of the model's dtype."""
        with np.errstate(over="ignore"):
            scaled = X if self.scaler_ is None else self.scaler_(X)
            inputs: np.ndarray = check_array(scaled, dtype=self.dtype, order="C", input_name="X")
        return inputs

    def _outputs(self, X: Any) -> np.ndarray:
        """Logits or standardised values, (n, outputs)."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=[np.float64, np.float32])
        with np.errstate(all="ignore"):  # after a divergence
            return self.model_.predict(self._inputs(X))


class MLPClassifier(ClassifierMixin, _Perceptron):  # type: ignore[misc]
    """A classifier: `nn.MLP` trained by `fit` on the cross-entropy.

    Names are scikit-learn's where its own MLPClassifier has the same thing, and those of `fit` elsewhere.

    Args:
        hidden_layer_sizes: widths of the hidden layers; () for softmax regression.
        activation: ``"relu"``, ``"leaky-relu"``, ``"tanh"``, ``"sigmoid"`` or ``"gelu"``, of the hidden layers.
        rule: settings such as ``ol.Momentum(lr=0.1)``, or a name; ``ol.Adam()`` if None.
        lr: a learning rate in place of the rule's, to be searched over.
        epochs: passes over the rows; all are done, unless ``early_stopping`` ends them.
        batch_size: rows per step; the last step of an epoch takes what is left.
        schedule: of the learning rate (`schedules`), or a name such as ``"cosine"``.
        l1, l2: penalties added to the loss, over all parameters: l1 sum |w| + l2 / 2 sum w^2.
        dropout: the probability with which a hidden unit is left out of a step, in [0, 1).
        batch_norm: normalise the batch before each activation.
        clip_norm: the longest gradient that is not shortened; None for no limit.
        early_stopping: hold rows back; stop once their loss has not fallen for ``patience`` epochs, keep the best.
        validation_fraction: how many, as a share or a number of rows; each class has its share.
        patience: epochs without improvement that end the training.
        standardize: give every feature mean 0 and variance 1 over the training rows. `partial_fit` learns that from
            its first rows.
        dtype: ``"float32"`` or ``"float64"``, of the model.
        random_state: a whole number gives the same estimator every time: it is ``seed`` of model and training.
        verbose: show the progress.
        label_smoothing: in [0, 1], the share of a label that goes to all classes alike.
        class_weight: a dict from label to weight (1 if not in it), or ``"balanced"``: n / (classes x rows of a class).

    Attributes:
        classes_, n_features_in_, feature_names_in_: as everywhere in scikit-learn.
        model_: the `nn.MLP`; it takes what ``scaler_``, a `data.scaler.Scaler` or None, makes of X.
        history_: the `History`, by epoch; ``loss_curve_`` its training loss, ``n_iter_`` its epochs.

    A divergence is a `sklearn.exceptions.ConvergenceWarning`. Impossible values are ``ol.ConfigError``, a ValueError.

    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import GridSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> search = GridSearchCV(MLPClassifier(random_state=0), {"lr": [1e-6, 1e-2]}, cv=3).fit(X, y)
    >>> search.best_params_, bool(search.best_score_ > 0.9)
    ({'lr': 0.01}, True)
    """

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (32,),
        *,
        activation: str = "relu",
        rule: Settings | str | None = None,
        lr: float | None = None,
        epochs: int = 100,
        batch_size: int = 32,
        schedule: Schedule | str | None = None,
        l1: float = 0.0,
        l2: float = 0.0,
        dropout: float = 0.0,
        batch_norm: bool = False,
        label_smoothing: float = 0.0,
        class_weight: Mapping[Any, float] | Literal["balanced"] | None = None,
        clip_norm: float | None = None,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        patience: int = 10,
        standardize: bool = True,
        dtype: str = "float32",
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ) -> None:
        super().__init__(
            hidden_layer_sizes,
            activation=activation,
            rule=rule,
            lr=lr,
            epochs=epochs,
            batch_size=batch_size,
            schedule=schedule,
            l1=l1,
            l2=l2,
            dropout=dropout,
            batch_norm=batch_norm,
            clip_norm=clip_norm,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            patience=patience,
            standardize=standardize,
            dtype=dtype,
            random_state=random_state,
            verbose=verbose,
        )
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any) -> Self:
        """Train anew on X (n, features) and n labels, of any type that NumPy can sort."""
        return self._fit(X, y)

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Self:
        """One epoch more over these rows: weights, the optimizer's state, dropout and the order of rows go on.

        k calls with the same rows are ``fit`` with ``epochs=k``. The first call needs all ``classes``.
        """
        if self.class_weight == "balanced":
            raise ConfigError("partial_fit does not see all labels: give class_weight as a dict")
        if classes is None and not hasattr(self, "model_"):
            raise ConfigError("the first call of partial_fit needs all labels there will be: classes=np.unique(y)")
        return self._partial_fit(X, y, classes)

    def _learn_targets(self, y: np.ndarray, rows: np.ndarray, classes: Any) -> int:
        check_classification_targets(y)
        self.classes_ = np.unique(y if classes is None else classes)
        if len(self.classes_) < 2:
            raise DataError(f"a classifier needs two classes or more; y has one class, {self.classes_.tolist()[0]!r}")
        return len(self.classes_)

    def _encoded(self, y: np.ndarray) -> tuple[np.ndarray, tuple[str, ...], dict[str, Any]]:
        strange = np.setdiff1d(y, self.classes_)
        if strange.size:
            known, label = self.classes_.tolist(), strange.tolist()[0]
            raise DataError(f"y has the label {label!r}, which is none of the classes {known}")
        weights = None
        if self.class_weight is not None:
            weights = compute_class_weight(self.class_weight, classes=self.classes_, y=y)
        names = tuple(str(label) for label in self.classes_)
        options = {"label_smoothing": self.label_smoothing, "class_weights": weights}
        return np.searchsorted(self.classes_, y), names, options

    def predict(self, X: Any) -> np.ndarray:
        """The most probable label of each row."""
        outputs = self._outputs(X)
        labels: np.ndarray = self.classes_[outputs.argmax(1)]
        return labels

    def predict_proba(self, X: Any) -> np.ndarray:
        """softmax(logits), (n, classes) in the order of ``classes_``; of the model's dtype."""
        probabilities: np.ndarray = softmax(self._outputs(X), axis=1)
        return probabilities

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """log softmax(logits), without the rounding to 0 of small probabilities."""
        logarithms: np.ndarray = log_softmax(self._outputs(X), axis=1)
        return logarithms


class MLPRegressor(RegressorMixin, _Perceptron):  # type: ignore[misc]
    """A regressor for one target or several: `nn.MLP` trained by `fit` on the mean squared error.

    Arguments and attributes are those of `MLPClassifier`, but for labels; ``standardize`` holds for the targets too
    (``target_scaler_``): losses are in units of their variance, predictions in those of y, and float64.

    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = MLPRegressor(hidden_layer_sizes=(), lr=0.01, random_state=0).fit(X, y)  # a linear model
    >>> bool(0.5 < model.score(X, y) < 0.52)
    True
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Train anew on X (n, features) and targets (n,) or (n, targets)."""
        return self._fit(X, y, multi_output=True, y_numeric=True)

    def partial_fit(self, X: Any, y: Any) -> Self:
        """One epoch more over these rows: weights, the optimizer's state, dropout and the order of rows go on.

        k calls with the same rows are ``fit`` with ``epochs=k``.
        """
        return self._partial_fit(X, y, multi_output=True, y_numeric=True)

    def _learn_targets(self, y: np.ndarray, rows: np.ndarray, classes: Any) -> int:
        table = _table(y)
        self.target_scaler_ = Scaler.fit(table, rows) if self.standardize else None
        self.n_outputs_, self._flat = int(table.shape[1]), y.ndim == 1
        return self.n_outputs_

    def _encoded(self, y: np.ndarray) -> tuple[np.ndarray, tuple[str, ...], dict[str, Any]]:
        table = _table(y)
        if table.shape[1] != self.n_outputs_:
            raise DataError(f"y has {table.shape[1]} targets, the estimator {self.n_outputs_}")
        scaled = table if self.target_scaler_ is None else self.target_scaler_(table)
        return scaled.astype(self.dtype), (), {}

    def predict(self, X: Any) -> np.ndarray:
        """The targets, of the shape that y had: (n,) or (n, targets)."""
        outputs = self._outputs(X).astype(np.float64)  # 1e9 + 1 is no float32
        if self.target_scaler_ is not None:
            outputs = self.target_scaler_.inverse(outputs)
        return outputs[:, 0] if self._flat else outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _seed(random_state: Any) -> int:
    """A whole number is the seed itself; a generator is asked for one."""
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31))


def _table(y: Any) -> np.ndarray:
    """(n, targets) in float64."""
    table = np.asarray(y, np.float64)
    return table.reshape(len(table), -1)


def _by_epoch(history: History) -> History:
    """The curves without those by step, which would be most of a pickle."""
    kept = History()
    kept.restore({name: curve for name, curve in history.state().items() if not name.startswith("steps/")})
    kept.status, kept.reason, kept.engine, kept.why = history.status, history.reason, history.engine, history.why
    return kept
