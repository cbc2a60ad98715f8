"""The update rules, one per file, by name and in order of increasing complexity."""

from optlab_kernels.rule import Rule
from optlab_kernels.rules.adadelta import adadelta
from optlab_kernels.rules.adagrad import adagrad
from optlab_kernels.rules.adam import adam
from optlab_kernels.rules.adamax import adamax
from optlab_kernels.rules.adamw import adamw
from optlab_kernels.rules.amsgrad import amsgrad
from optlab_kernels.rules.lion import lion
from optlab_kernels.rules.momentum import momentum
from optlab_kernels.rules.nadam import nadam
from optlab_kernels.rules.rmsprop import rmsprop
from optlab_kernels.rules.sgd import sgd

_ALL = (sgd, momentum, adagrad, adadelta, rmsprop, adam, adamw, amsgrad, nadam, adamax, lion)
RULES: dict[str, Rule] = {rule.name: rule for rule in _ALL}
