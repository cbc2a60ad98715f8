"""An update rule and its options as parameters of a trial."""

from collections.abc import Iterable, Mapping
from typing import Any

from optlab.errors import ConfigError
from optlab.optim.rules import RULES, as_settings
from optlab.optim.settings import Settings
from optlab.search.mistakes import shown
from optlab.search.parameters import Choice, Parameter
from optlab.search.space import Space

DEFAULT = "adam"


def rule_of(params: Mapping[str, Any], fixed: Mapping[str, Any]) -> Settings:
    """The rule that ``params`` or else ``fixed`` name, with the options of both.

    What is fixed holds for the rules that have such an option; a trial's own parameter must be one of its rule's.

    Raises:
        ConfigError: no such rule, an option that it doesn't have, or a value out of range.
    """
    options = {name: value for name, value in params.items() if name != "rule"}
    rule = as_settings(params.get("rule", fixed.get("rule", DEFAULT)))
    try:
        return rule.filled(**{k: v for k, v in fixed.items() if k != "rule"}).replace(**options)
    except TypeError as error:
        raise ConfigError(str(error)) from None


def rules_of(space: Space, fixed: Mapping[str, Any]) -> list[Any]:
    """What ``rule`` may be in a space: names, or a rule's settings."""
    parameter = space.get("rule")
    return list(parameter.values) if isinstance(parameter, Choice) else [fixed.get("rule", DEFAULT)]


def options_of(rules: Iterable[Any]) -> list[str]:
    """The options of these rules, those of all rules if one of them can't be read."""
    try:
        kinds = [as_settings(rule) for rule in rules]
    except ConfigError:
        kinds = [kind() for kind in RULES.values()]
    return list(dict.fromkeys(name for kind in kinds for name in kind.to_dict()))


def under_rules(name: str, space: Space, fixed: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each rule under which the parameter ``name`` is active.

    Raises:
        ConfigError: it is active under a rule that has no such option.
    """
    when = dict(space[name].when or {})
    wanted = when.pop("rule", None)
    rules = rules_of(space, fixed) if wanted is None else list(wanted) if isinstance(wanted, list | tuple) else [wanted]
    lacking = [rule for rule in rules if not _has(rule, name)]
    if lacking:
        having = [rule for rule in rules if rule not in lacking]
        condition = f"when = {{ rule = {shown(having[0] if len(having) == 1 else having)} }}".replace("'", '"')
        raise ConfigError(f"{' and '.join(map(str, lacking))} without such an option; give it {condition}")
    others = {parent: v[0] if isinstance(v, list | tuple) else v for parent, v in when.items()}
    return [{**others, "rule": rule} for rule in rules]


def without(usual: Mapping[str, Parameter], fixed: Mapping[str, Any]) -> dict[str, Parameter]:
    """The usual parameters but for what is fixed, or depends on a rule that is."""
    return {k: p for k, p in usual.items() if k not in fixed and not (p.when and "rule" in fixed)}


def _has(rule: Any, name: str) -> bool:
    """Whether it has this option; a rule that can't be is reported elsewhere."""
    try:
        return name in as_settings(rule).to_dict()
    except ConfigError:
        return True
