"""Learning-rate schedules: functions of the step."""

from optlab.schedules.cosine import Cosine
from optlab.schedules.cycles import Cyclical, OneCycle
from optlab.schedules.decay import Constant, ExponentialDecay, InverseTime, MultiStep, Polynomial, StepDecay
from optlab.schedules.plateau import ReduceOnPlateau, Tracker
from optlab.schedules.schedule import SCHEDULES, Schedule, as_schedule
from optlab.schedules.warmup import Warmup

__all__ = [
    "SCHEDULES",
    "Constant",
    "Cosine",
    "Cyclical",
    "ExponentialDecay",
    "InverseTime",
    "MultiStep",
    "OneCycle",
    "Polynomial",
    "ReduceOnPlateau",
    "Schedule",
    "StepDecay",
    "Tracker",
    "Warmup",
    "as_schedule",
]
