"""Studies in a file: which there are, and one of them opened, with nothing imported or run that the file names."""

import copy
import os
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, Self, SupportsIndex

from optlab.checks import whole
from optlab.errors import ConfigError, StorageError, unknown
from optlab.plain import parsed
from optlab.search.mistakes import shown
from optlab.search.sampler import Observation, Sampler, sampler_from_dict
from optlab.search.space import Space
from optlab.search.store import Store

DIRECTIONS = ("minimize", "maximize")


class Stored:
    """What a study does with a file that is there: `Study` inherits it."""

    @classmethod
    def open(cls, storage: str | os.PathLike[str], name: str | None = None, sampler: Sampler | None = None) -> Self:
        """Open a study of a file, with the space, the direction and the sampler that the file tells.

        Nothing that the file names is imported or run, and file and folder stay as they are until something is asked,
        told or run: then the study becomes a driver of the file, as any other. A file that may only be read, is of an
        older format, or is damaged (with a warning) can be opened as well.

        Args:
            storage: the file.
            name: of the study, where the file holds several.
            sampler: what proposes further trials; None for the one that the file tells. A function that it names, as
                the ``mean`` of `GP`, is not imported: to go on with it, give the sampler.

        Raises:
            ConfigError: no study of this name; several and no name; a sampler that can't sample the space.
            StorageError: there is no such file, it is none of optlab's, or what it holds makes no sense.
        """
        store = Store(storage, reader=True)
        try:
            there = store.studies()
            chosen = _chosen(name, there, os.fspath(storage))
            direction, text = there[chosen]
            try:
                space = Space.from_dict(parsed(text))
            except ValueError as error:
                raise StorageError(f"{os.fspath(storage)}: the space of {chosen!r} makes no sense: {error}") from None
            if direction not in DIRECTIONS:
                raise StorageError(f"{os.fspath(storage)}: the direction of {chosen!r} is {direction!r}")
            store.read(chosen, direction, space)
            study = cls.__new__(cls)
            made = last_sampler(store, space) if sampler is None else bound(sampler, space)
            study._begin(space, made, direction, chosen, store)
        except BaseException:
            store.close()
            raise
        return study

    @staticmethod
    def list(storage: str | os.PathLike[str]) -> list[str]:
        """The names of the studies in a file, which stays as it is.

        Raises:
            StorageError: there is no such file, or it is none of optlab's.
        """
        store = Store(storage, reader=True)
        try:
            return list(store.studies())
        finally:
            store.close()

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:  # what copy, deepcopy and pickle call
        raise ConfigError(
            "a study can't be copied or pickled: it holds an open store and its lock; "
            "open its file again with Study.open(storage), or copy that: study.copy(path)"
        )

    def _begin(self, space: Space, sampler: Sampler, direction: str, name: str, store: Store) -> None:
        raise NotImplementedError


class RecordedSampler(Sampler):
    """A sampler of which a file tells little or nothing, or what can't be made here: it is shown and never asked."""

    name = ""

    def __init__(self, told: Mapping[str, Any], why: str) -> None:
        super().__init__()
        self._told, self._why = dict(told), why

    def propose(self, numbers: Sequence[int], seen: Sequence[Observation]) -> list[dict[str, Any]]:
        """Refuse.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(f"{self._why}; to go on, give one: Study.open(..., sampler=GP(seed=0))")

    def to_dict(self) -> dict[str, Any]:
        """What the file tells."""
        return dict(self._told)

    def __repr__(self) -> str:
        if not self._told:
            return "an unknown sampler"
        options = ", ".join(f"{key}={value!r}" for key, value in self._told.items() if key != "name")
        return f"{self._told.get('name', 'a sampler')}({options})"


def samplers(store: Store, space: Space) -> list[tuple[int, Sampler]]:
    """What proposed the trials, as far as the file tells, each with the number of the trial from which on it did."""
    found: list[tuple[int, Sampler]] = []
    for told in store.descriptions():
        if "sampler" in told:
            sampler = stored_sampler(told["sampler"], space)
            if sampler not in [other for _, other in found]:
                found.append((whole(told.get("first")) or 0, sampler))
    return found


def last_sampler(store: Store, space: Space) -> Sampler:
    """The sampler that the file tells last, with nothing imported."""
    told = [description["sampler"] for description in store.descriptions() if "sampler" in description]
    if not told:
        return RecordedSampler({}, "the file does not tell by what sampler its trials were proposed")
    return stored_sampler(told[-1], space)


def stored_sampler(told: Any, space: Space) -> Sampler:
    """The sampler of a description in a file; one that can't be made, because it is not optlab's, is only shown."""
    if not isinstance(told, Mapping):
        return RecordedSampler({}, f"the file tells of its sampler only {shown(told)}")
    try:
        return bound(sampler_from_dict(told), space)
    except ConfigError as error:
        return RecordedSampler(told, f"the sampler that the file tells can't be made ({error})")


def bound(sampler: Any, space: Space) -> Sampler:
    """A copy of a sampler, for this space: another study may bind it to another one.

    Raises:
        ConfigError: it is none, or it can't sample the space.
    """
    if not isinstance(sampler, Sampler):
        raise ConfigError(f"a study's sampler is Grid, Random, Sobol or GP with its settings, got {sampler!r}")
    made = copy.copy(sampler)
    made.bind(space)
    return made


def _chosen(name: str | None, there: Mapping[str, Any], storage: str) -> str:
    if name is None and len(there) != 1:
        one = f"choose one with name= or --name: {', '.join(there)}" if there else "there is nothing to open"
        raise ConfigError(f"{storage} holds {len(there)} studies; {one}")
    chosen = next(iter(there)) if name is None else name
    if chosen not in there:
        raise unknown("study", chosen, there)
    return chosen
