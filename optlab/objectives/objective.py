"""What every ready objective is: its settings, a space to begin with, and a check of a space before the first trial."""

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar

from optlab.errors import ConfigError, unknown
from optlab.search.mistakes import Found, raise_if, shown, unknown_key
from optlab.search.parameters import Choice, Parameter
from optlab.search.space import Space


class Objective:
    """A function ``objective(params, trial=None) -> float`` to be minimised, made anew from its settings anywhere.

    Attributes:
        name: in sweep files.
        releases_gil: whether it gains from threads; otherwise its workers are processes.
        settings: the arguments that it was made with; equal settings give an equal objective in another process.
    """

    name: ClassVar[str]
    releases_gil: ClassVar[bool] = True
    settings: dict[str, Any]

    def __call__(self, params: Mapping[str, Any], trial: Any = None) -> float:
        """The value at ``params``; ``trial`` gives the seed, and is told of what is known on the way."""
        raise NotImplementedError

    def space(self) -> Space:
        """What to search where nothing else is said."""
        raise NotImplementedError

    def check(self, space: Space) -> None:
        """See that every trial of this space can begin.

        Raises:
            ConfigError: with every name that is unknown and every end of a range that is refused.
        """
        raise_if(self.mistakes(space), f"the space of {self.name}")

    def mistakes(self, space: Space) -> Found:
        """What is wrong with a space, under key paths."""
        found: Found = []
        for name, parameter in space.items():
            if name in self.settings:
                found.append((f"space.{name}", "is fixed in [settings] as well; leave one of the two out"))
            else:
                found += self._refused(name, parameter, space)
        return found

    def begin(self, params: Mapping[str, Any]) -> None:
        """Everything that a trial does before it costs anything.

        Raises:
            ConfigError: ``params`` can't be.
        """
        raise NotImplementedError

    def known(self, space: Space) -> list[str]:
        """The names that a space may have."""
        raise NotImplementedError

    @classmethod
    def options(cls) -> list[str]:
        """The names of the settings that it takes."""
        parameters = inspect.signature(cls).parameters.values()
        return [p.name for p in parameters if p.kind is not p.VAR_KEYWORD]

    def refuse_unknown(self, given: Mapping[str, Any]) -> None:
        """Refuse settings that nothing reads.

        Raises:
            ConfigError: with the nearest known name.
        """
        for name in given:
            if name not in (known := self.options()):
                raise unknown(f"setting of {self.name}", name, known)

    def parents(self, name: str, space: Space) -> list[dict[str, Any]]:
        """Under which values of other parameters each of a parameter's values has to work."""
        when = space[name].when or {}
        return [{parent: v[0] if isinstance(v, list | tuple) else v for parent, v in when.items()}]

    def _refused(self, name: str, parameter: Parameter, space: Space) -> Found:
        found: Found = []
        if name not in (known := self.known(space)):
            unknown_key(found, "space", name, known)
            return found
        try:
            parents = self.parents(name, space)
        except ConfigError as error:
            return [(f"space.{name}", f"is active with {error}")]
        for value in ends(parameter):
            for others in parents:
                try:
                    self.begin({**others, name: value})
                except ConfigError as error:
                    hint = "; int = true in its table makes it whole" if parameter.kind == "float" else ""
                    text = f"can't be {shown(value)}: {error}{hint if 'whole number' in str(error) else ''}"
                    found.append((f"space.{name}", text))
                    break
        return found if parameter.kind == "choice" else found[:1]

    def __reduce__(self) -> tuple[Any, ...]:
        return _remade, (type(self), self.settings)

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(f'{k}={shown(v)}' for k, v in self.settings.items())})"


def ends(parameter: Parameter) -> list[Any]:
    """All values of a Choice, the ends of a range: where these are right, so is what lies between."""
    return list(parameter.values) if isinstance(parameter, Choice) else [parameter.low, parameter.high]


def given(**settings: Any) -> dict[str, Any]:
    """The settings that were given: None stands for one that was not."""
    return {name: value for name, value in settings.items() if value is not None}


def _remade(kind: type[Objective], settings: dict[str, Any]) -> Objective:
    return kind(**settings)
