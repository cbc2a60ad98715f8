"""A study replayed: what the sampler saw when it proposed a trial, and whether it proposes the same again."""

import copy
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace as changed
from typing import TYPE_CHECKING, Any, NamedTuple

from optlab.checks import check_count
from optlab.errors import ConfigError
from optlab.search.sampler import Observation
from optlab.search.store import ENCODER, batch_of

if TYPE_CHECKING:
    from optlab.search.study import Study


class Replay(NamedTuple):
    """Numbers of trials: those that the sampler proposes again, those that it proposes otherwise, and the others.

    The others are points of one's own, and trials of which the file doesn't tell what was known: it is older than
    that, or was damaged.
    """

    same: list[int]
    different: list[int]
    left_out: list[int]


def seen(study: "Study", number: int) -> list[Observation]:
    """`Study.seen`."""
    past, number = _Past(study), check_count("a trial's number", number)
    if number not in past.course:
        raise ConfigError(f"there is no trial {number!r}; the study has {len(past.course)}")
    if past.course[number].batch == 0:
        raise ConfigError(f"trial {number} is a point of one's own; no sampler proposed it")
    if not past.tells(number):
        raise ConfigError(
            f"the file doesn't tell what was known at trial {number}: it is older than that, or was damaged"
        )
    return past.seen(number)


def replay(study: "Study") -> Replay:
    """`Study.replay`: with a sampler of the same settings that knows nothing yet."""
    past, result = _Past(study), Replay([], [], [])
    sampler = copy.copy(study.sampler)
    sampler.bind(study.space)
    call: tuple[int | None, Sequence[int]] | None = None
    points: dict[int, dict[str, Any]] = {}
    for trial in study.trials:
        if trial.number not in past.course:  # claimed since
            continue
        if not past.tells(trial.number):
            result.left_out.append(trial.number)
            continue
        numbers = past.together(trial.number)
        if call != (this := (past.course[trial.number].claimed, numbers)):
            call = this
            points = dict(zip(numbers, sampler.propose(numbers, past.seen(trial.number)), strict=False))
        again = ENCODER.encode(points.get(trial.number)) == ENCODER.encode(trial.params)
        (result.same if again else result.different).append(trial.number)
    return result


class _Past:
    """What is known of the course of a study."""

    def __init__(self, study: "Study") -> None:
        self.course = {moments.number: moments for moments in study.course()}
        self._now = study.observations()  # after the course: whatever has ended there has ended here
        self._claims: dict[int | None, list[int]] = defaultdict(list)
        for number, moments in self.course.items():
            self._claims[moments.claimed].append(number)

    def tells(self, number: int) -> bool:
        """Whether a sampler proposed it and what it saw is known."""
        moments = self.course.get(number)
        return moments is not None and moments.claimed is not None and moments.batch != 0

    def together(self, number: int) -> Sequence[int]:
        """The numbers that the sampler was asked for in one call."""
        moments = self.course[number]
        return batch_of(number, moments.batch) if moments.batch else self._claims[moments.claimed]

    def seen(self, number: int) -> list[Observation]:
        """The trials that were there when this one was claimed; before a batch, those before its first."""
        at, first = self.course[number].claimed, self.together(number)[0]
        assert at is not None
        there = []
        for observation in self._now:
            moments = self.course.get(observation.number)
            if moments is None or (moments.claimed is not None and moments.claimed >= at):
                continue  # claimed since
            if self.course[number].batch and observation.number >= first:
                continue
            ended = moments.changed <= at
            there.append(observation if ended else changed(observation, loss=None, state="running"))
        return there
