"""Guard between papermill and a notebook: what is injected must be what the notebook declares.

Plain papermill only warns about an unknown parameter and then runs for an hour with the default.
Each notebook therefore calls, in the first cell after its ``parameters`` cell,

    P = parameters.read(globals(), MlpsParameters)

where ``MlpsParameters`` is a frozen dataclass that mirrors the cell.  `read` stops at once, with
everything that is wrong in one message and what was probably meant.

Only the standard library is imported here, so that the check costs nothing.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

_SCALARS = (str, int, float, bool)
_LITERALS = (str, int, float, bool, list, dict, tuple, type(None))
# Literals an IPython kernel puts into a user namespace without a leading underscore.
_IPYTHON = frozenset({"In", "Out"})
DEVICES = ("auto", "cpu", "cuda", "mps")  # what a parameter called device can be; cuda:1 too
ALIASES = {"gpu": "cuda"}


class ParameterError(ValueError):
    """One or more parameters cannot be used; the message lists each with its remedy."""


def parameter(
    default: Any,
    help: str,
    *,
    choices: Sequence[str] | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    may_be_empty: bool = False,
    may_repeat: bool = False,
) -> Any:
    """Declare one field of a parameters dataclass, with its rules.

    `default` is a str, int, float, bool or list of those; `help` is the comment shown behind it
    in the notebook and by ``papermill --help-notebook``.  The rules (`choices`, `at_least`,
    `at_most`, `below`) hold for the value, or for every element where the value is a list.  A list
    names each thing once, or it would be counted twice, unless it `may_repeat`.
    """
    metadata = {
        "help": help,
        "choices": None if choices is None else tuple(choices),
        "at_least": at_least,
        "at_most": at_most,
        "below": below,
        "may_be_empty": may_be_empty,
        "may_repeat": may_repeat,
    }
    if isinstance(default, list):
        values = list(default)
        return dataclasses.field(default_factory=lambda: list(values), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Run:
    """What every section that trains can be asked; a cell's last parameters."""

    seed: int = parameter(0, "first network seed; later ones count up", at_least=0)
    device: str = parameter("auto", "auto, cpu, cuda or mps")
    workers: int = parameter(0, "parallel processes; 0 means one per core", at_least=0)

    def given(self, *names: str) -> dict[str, Any]:
        """These parameters by name, to hand on."""
        return {name: getattr(self, name) for name in names}


def fields(cls: type) -> list[dataclasses.Field]:
    """Fields in the order of a cell: those of ``Run`` last."""
    last = {field.name for field in dataclasses.fields(Run)}
    return sorted(dataclasses.fields(cls), key=lambda field: field.name in last)


def read(namespace: Mapping[str, Any], cls: type) -> Any:
    """Return ``cls(**values)`` with the values of `namespace`, or raise one `ParameterError`.

    Checked: names that `cls` does not declare, declared names that the cell lacks, types (an int
    is accepted for a float, a bool is never an int), the rules of each field, and whatever
    ``cls.__post_init__`` raises as ValueError (relations between fields).

    In a live session the cell can be run again after later cells have defined names of their
    own; once the namespace holds an instance of `cls`, unknown names are no longer searched.
    """
    declared = {field.name: field for field in fields(cls)}
    hints = typing.get_type_hints(cls)
    problems = []
    if not any(type(value) is cls for value in namespace.values()):
        problems += [_unknown(name, declared) for name in _stray_names(namespace, declared)]
    missing = [name for name in declared if name not in namespace]
    problems += [f"{name} is missing from the parameters cell" for name in missing]

    values = {}
    for name, field in declared.items():
        if name in namespace:
            value, found = _checked(name, namespace[name], hints[name], field.metadata)
            values[name] = value
            problems += found
    if not problems:
        try:
            return cls(**values)
        except ValueError as error:
            problems.append(str(error))
    raise ParameterError(_message(problems, declared))


def cell(cls: type) -> str:
    """Source of the ``parameters`` cell that mirrors `cls`: ``name: type = literal  # help``."""
    hints = typing.get_type_hints(cls)
    lines = []
    for field in fields(cls):
        annotation = _type_name(hints[field.name])
        lines.append(
            f"{field.name}: {annotation} = {_literal(default_of(field))}"
            f"  # {field.metadata.get('help', '')}"
        )
    return "\n".join(lines)


def default_of(field: dataclasses.Field) -> Any:
    """Default value of a dataclass field, also where it comes from a factory."""
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    raise ValueError(f"parameter {field.name} has no default")


def suggestion(name: str, known: Sequence[str], cutoff: float = 0.6) -> str:
    """`` Did you mean 'x'?`` or an empty string; ``cutoff``: how alike the two must be (0 to 1)."""
    lowered, name = [item.lower() for item in known], name.lower()
    close = difflib.get_close_matches(ALIASES.get(name, name), lowered, n=1, cutoff=cutoff)
    if not close:
        return ""
    original = next(item for item in known if item.lower() == close[0])
    return f" Did you mean {original!r}?"


def _stray_names(namespace: Mapping[str, Any], fields: Mapping[str, Any]) -> list[str]:
    """Public literal values that are neither declared nor put there by IPython."""
    hidden = set(_IPYTHON)
    shell = namespace.get("get_ipython")
    if callable(shell) and shell() is not None:
        hidden |= set(getattr(shell(), "user_ns_hidden", ()))
    return [
        name
        for name, value in namespace.items()
        if not name.startswith("_")
        and name not in fields
        and name not in hidden
        and isinstance(value, _LITERALS)
    ]


def _unknown(name: str, fields: Mapping[str, dataclasses.Field]) -> str:
    """The name, and a declared one that looks alike or is explained with that very word."""
    hint = suggestion(name, tuple(fields))
    for field in fields.values():
        if not hint and name.lower() in re.findall(r"\w+", field.metadata.get("help", "").lower()):
            hint = f" Did you mean {field.name!r} ({field.metadata['help']})?"
    return f"unknown parameter {name!r}.{hint}"


def _checked(name: str, value: Any, hint: Any, rules: Mapping[str, Any]) -> tuple[Any, list[str]]:
    """The value (an int turned into the float it stands for) and what is wrong with it."""
    if typing.get_origin(hint) is list or hint is list:
        return _checked_list(name, value, hint, rules)
    converted, problem = _typed(name, value, hint)
    if problem:
        return value, [problem]
    return converted, _broken_rules(name, converted, rules)


def _checked_list(
    name: str, value: Any, hint: Any, rules: Mapping[str, Any]
) -> tuple[Any, list[str]]:
    if not isinstance(value, list | tuple):
        shown = value.strip() if isinstance(value, str) else repr(value)
        if shown[:1] == "[" and shown[-1:] == "]":  # papermill -p hands over a list as text
            shown = shown[1:-1]
        problem = (
            f"{name} must be a list, got {value!r} ({type(value).__name__}); "
            f"on the command line write -y '{name}: [{shown}]'"
        )
        return value, [problem]
    if not value and not rules.get("may_be_empty", False):
        return value, [f"{name} must not be an empty list"]
    element = (typing.get_args(hint) or (None,))[0]
    values, problems = [], []
    for position, item in enumerate(value):
        label = f"{name}[{position}]"
        problem = None
        if element is not None:
            item, problem = _typed(label, item, element)
        values.append(item)
        problems += [problem] if problem else _broken_rules(label, item, rules)
    if not problems and not rules.get("may_repeat", False):
        twice = list(dict.fromkeys(item for item in values if values.count(item) > 1))
        problems += [f"{name} names {item!r} more than once" for item in twice]
    return values, problems


def _typed(name: str, value: Any, hint: type) -> tuple[Any, str | None]:
    if hint not in _SCALARS:
        raise TypeError(f"{name} is declared as {hint!r}; only str, int, float, bool and list work")
    if hint is float and type(value) is int:
        return float(value), None
    if type(value) is hint:
        if hint is float and math.isnan(value):
            return value, f"{name} must be a number, got nan"
        return value, None
    article = "an" if hint is int else "a"
    return value, (
        f"{name} must be {article} {hint.__name__}, got {value!r} ({type(value).__name__})"
    )


def _broken_rules(name: str, value: Any, rules: Mapping[str, Any]) -> list[str]:
    choices = rules.get("choices") or (DEVICES if name == "device" else None)
    given = value.partition(":")[0] if name == "device" else value
    if choices is not None and given not in choices:
        hint = suggestion(value, choices) if isinstance(value, str) else ""
        known = ", ".join(str(choice) for choice in choices)
        return [f"{name} must be one of {known}; got {value!r}.{hint}"]
    limits = (
        ("at_least", "at least", lambda limit: value >= limit),
        ("at_most", "at most", lambda limit: value <= limit),
        ("below", "below", lambda limit: value < limit),
    )
    return [
        f"{name} must be {words} {rules[rule]}, got {value!r}"
        for rule, words, holds in limits
        if rules.get(rule) is not None and not holds(rules[rule])
    ]


def _message(problems: Sequence[str], fields: Mapping[str, Any]) -> str:
    if len(problems) == 1:
        text = problems[0]
    else:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        text = f"{len(problems)} parameters cannot be used:\n{listed}"
    return f"{text}\nParameters of this notebook: {', '.join(fields)}."


def _type_name(hint: Any) -> str:
    return str(hint) if isinstance(hint, types.GenericAlias) else hint.__name__


def _literal(value: Any) -> str:
    """Python source of a literal, strings in double quotes as the rest of the project writes."""
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if isinstance(value, list):
        return "[" + ", ".join(_literal(item) for item in value) + "]"
    return repr(value)
