"""optlab: an optimization laboratory. Names are loaded when first used, so that importing it is cheap."""

from typing import TYPE_CHECKING

from optlab.lazy import lazily

if TYPE_CHECKING:
    from optlab import autograd as autograd
    from optlab import data as data
    from optlab import nn as nn
    from optlab import objectives as objectives
    from optlab import schedules as schedules
    from optlab import search as search
    from optlab import sklearn as sklearn
    from optlab.autograd.modes import no_grad as no_grad
    from optlab.autograd.tensor import Tensor as Tensor
    from optlab.descent.basin import Basin as Basin
    from optlab.descent.basin import basin as basin
    from optlab.descent.descent import Run as Run
    from optlab.descent.descent import descend as descend
    from optlab.descent.race import Race as Race
    from optlab.descent.race import race as race
    from optlab.errors import ConfigError as ConfigError
    from optlab.errors import DataError as DataError
    from optlab.errors import NonFiniteError as NonFiniteError
    from optlab.errors import OptlabError as OptlabError
    from optlab.errors import SealError as SealError
    from optlab.errors import StorageError as StorageError
    from optlab.optim.optimizer import Optimizer as Optimizer
    from optlab.optim.rules import RULES as RULES
    from optlab.optim.rules import SGD as SGD
    from optlab.optim.rules import Adadelta as Adadelta
    from optlab.optim.rules import Adagrad as Adagrad
    from optlab.optim.rules import Adam as Adam
    from optlab.optim.rules import Adamax as Adamax
    from optlab.optim.rules import AdamW as AdamW
    from optlab.optim.rules import AMSGrad as AMSGrad
    from optlab.optim.rules import Lion as Lion
    from optlab.optim.rules import Momentum as Momentum
    from optlab.optim.rules import NAdam as NAdam
    from optlab.optim.rules import RMSProp as RMSProp
    from optlab.optim.rules import register as register
    from optlab.optim.settings import Settings as Settings
    from optlab.surfaces import SURFACES as SURFACES
    from optlab.surfaces import Surface as Surface
    from optlab.train.callbacks import Callback as Callback
    from optlab.train.callbacks import CSVLog as CSVLog
    from optlab.train.callbacks import EarlyStopping as EarlyStopping
    from optlab.train.callbacks import JSONLog as JSONLog
    from optlab.train.checkpoint import Checkpoint as Checkpoint
    from optlab.train.fit import fit as fit
    from optlab.train.history import History as History
    from optlab.train.lr_find import Found as Found
    from optlab.train.lr_find import lr_find as lr_find

__version__ = "0.1.0"

_RULES = ("SGD", "Momentum", "Adagrad", "Adadelta", "RMSProp", "Adam", "AdamW", "AMSGrad", "NAdam", "Adamax", "Lion")
_ERRORS = ("ConfigError", "DataError", "NonFiniteError", "OptlabError", "SealError", "StorageError")
_HOME = {
    **dict.fromkeys((*_RULES, "RULES", "register"), "optlab.optim.rules"),
    **dict.fromkeys(("SURFACES", "Surface"), "optlab.surfaces"),
    **dict.fromkeys(_ERRORS, "optlab.errors"),
    **dict.fromkeys(("Race", "race"), "optlab.descent.race"),
    **dict.fromkeys(("Run", "descend"), "optlab.descent.descent"),
    **dict.fromkeys(("Basin", "basin"), "optlab.descent.basin"),
    **dict.fromkeys(("Callback", "CSVLog", "EarlyStopping", "JSONLog"), "optlab.train.callbacks"),
    "Checkpoint": "optlab.train.checkpoint",
    "History": "optlab.train.history",
    "fit": "optlab.train.fit",
    **dict.fromkeys(("Found", "lr_find"), "optlab.train.lr_find"),
    "Optimizer": "optlab.optim.optimizer",
    "Settings": "optlab.optim.settings",
    "Tensor": "optlab.autograd.tensor",
    "autograd": "optlab.autograd",
    "data": "optlab.data",
    "nn": "optlab.nn",
    "objectives": "optlab.objectives",
    "schedules": "optlab.schedules",
    "search": "optlab.search",
    "sklearn": "optlab.sklearn",
    "no_grad": "optlab.autograd.modes",
}
__all__ = sorted([*_HOME, "__version__"])
__getattr__, __dir__ = lazily(__name__, _HOME)
