"""An option is declared once: as the field of a dataclass, from which everything else is made.

The field has name, type and default, `option` adds what else there is to know. The check of a value, the signature of a
function that takes the options as keywords, the command line (`experiment.parser`), what a run says of itself and what
is refused as useless (`model.effects`) all read the same declaration.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType, NoneType
from typing import Any, Literal, TypeVar

from foundation.errors import InputError
from foundation.values import as_count, is_number, shown

OPTION = "option"  # in a field's metadata
F = TypeVar("F", bound=Callable)


@dataclass(frozen=True)
class Option:
    """What a field declares.

    name, kind: of the field; kind without None, which `optional` tells. choices: of a `Literal`, or given.
    least, above, most, below: bounds of a number. aliases: other spelling of a choice -> the choice.
    flags: its spellings on the command line, `--name` if not told, () if it is not there.
    off: the flag that makes it None, or False if it is a bool, and its help: for what is on by default, somewhere.
    bare: what the flag alone means, for an option whose value may be left out.
    required: whether the command line must have it.
    metavar: of its value in the help, "N" or "X" for a number. group: under which help and settings list it.
    decides: whether the result depends on it: then it is part of a run's identity.
    datasets: whose scripts have it; none named, all.
    needs: name of a class attribute of models -> why the option does nothing for a model where that is false.
    """

    name: str
    kind: Any
    optional: bool
    help: str
    choices: tuple[str, ...] = ()
    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    off: tuple[str, str] | None = None
    bare: Any = None
    required: bool = False
    metavar: str = ""
    group: str = "training"
    decides: bool = True
    datasets: tuple[str, ...] = ()
    needs: Mapping[str, str] = field(default_factory=dict)

    def check(self, value: Any) -> Any:
        """The value as the program takes it. Raises `InputError` for one that the declaration does not allow."""
        if value is None and self.optional:
            return None
        if self.choices:
            value = self.aliases.get(value, value) if isinstance(value, str) else value
            if value not in self.choices:
                raise InputError(f"Unknown {self.name} {shown(value)}. Known: {', '.join(self.choices)}.")
        elif self.kind is int:
            return as_count(self.name, value, None if self.least is None else int(self.least))
        elif self.kind is float and not (is_number(value) and self.allows(value)):
            bounds = "positive" if self.above == 0 else f"a number, {self.bounds}"
            raise InputError(f"{self.name} must be {bounds}. Received: {shown(value)}.")
        return value

    def allows(self, value: float) -> bool:
        """Whether a number lies within the bounds.

        >>> [Option("rate", float, False, "", least=0, below=1).allows(value) for value in (0, 0.5, 1, float("nan"))]
        [True, True, False, False]
        """
        low = value >= self.least if self.least is not None else self.above is None or value > self.above
        high = value <= self.most if self.most is not None else self.below is None or value < self.below
        return bool(value == value and low and high)

    def is_of(self, dataset: str) -> bool:
        """Whether the script of a data set has it."""
        return not self.datasets or dataset in self.datasets

    @property
    def bounds(self) -> str:
        """
        >>> Option("rate", float, False, "", least=0, below=1).bounds
        'at least 0 and below 1'
        """
        words = {"at least": self.least, "above": self.above, "at most": self.most, "below": self.below}
        return " and ".join(f"{word} {bound}" for word, bound in words.items() if bound is not None)


def option(help: str, default: Any = inspect.Parameter.empty, **declared: Any) -> Any:
    """A field of a dataclass that is an option; what else it declares: see `Option`. Without a default it is needed."""
    metadata = {OPTION: {"help": help, **declared}}
    return field(metadata=metadata) if default is inspect.Parameter.empty else field(default=default, metadata=metadata)


@functools.cache
def options_of(declarations: type) -> Mapping[str, Option]:
    """The options that a dataclass declares, by name."""
    kinds = typing.get_type_hints(declarations)
    declared = {each.name: each.metadata[OPTION] for each in fields(declarations) if OPTION in each.metadata}
    return MappingProxyType({name: _declared(name, kinds[name], further) for name, further in declared.items()})


def _declared(name: str, kind: Any, further: Mapping[str, Any]) -> Option:
    parts = [part for part in typing.get_args(kind) if part is not NoneType]
    optional = NoneType in typing.get_args(kind)
    if optional:
        (kind,) = parts
    choices = typing.get_args(kind) if typing.get_origin(kind) is Literal else ()
    usual = {"choices": choices, "flags": (f"--{name}",), "metavar": "N" if kind is int else "X"}
    return Option(name, kind, optional, **{**usual, **further})


def defaults_of(declarations: type) -> dict[str, Any]:
    """Of those fields of a dataclass that have one."""
    names = [each.name for each in fields(declarations)]
    return {name: getattr(declarations, name) for name in names if hasattr(declarations, name)}


def takes_options(declarations: type) -> Callable[[F], F]:
    """For a function whose `**further` are options: its signature shows those that it does not name itself."""

    def decorate(function: F) -> F:
        own = inspect.signature(function)
        named = [each for each in own.parameters.values() if each.kind is not each.VAR_KEYWORD]
        further = [
            inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=each.type)
            for each in fields(declarations)
            if each.name not in own.parameters
        ]
        function.__signature__ = own.replace(parameters=[*named, *further])  # type: ignore[attr-defined]
        return function

    return decorate
