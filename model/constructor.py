"""A model remembers the arguments of its constructor, so that it can be saved and built again, and checks them."""

from __future__ import annotations

import functools
import inspect
import math
from abc import ABC
from collections.abc import Callable, Mapping
from inspect import Parameter
from typing import Any, ClassVar

from foundation.annotations import fits, type_words
from foundation.errors import InputError
from foundation.feature_columns import Column
from foundation.values import shown
from model.effects import Idle, check_arguments, idle_settings
from model.signature import ConstructorSignature, accepted, signature_of


class Constructed(ABC):
    """Of a model: what it was constructed with, and what of that does nothing.

    `__init__` of each subclass is wrapped. The wrapper of the constructor that is called notes and checks the
    arguments; those of the base classes, which it calls by `super().__init__`, find them noted. Copying and reading
    from a file call no constructor, and keep what is noted.
    """

    __signature__ = ConstructorSignature()
    arguments: dict[str, Any]  # of the constructor, as given
    # Settings that do nothing for a model, and why (`model.effects`), as clauses: "which has no linear part".
    without_effect: ClassVar[dict[str, str]] = {}
    # How many epochs pass before one can be without improvement: the first is the best so far.
    epochs_before_patience: ClassVar[int] = 1
    # What some options need to have an effect (`foundation.options.Option.needs`).
    learns_by_gradients: ClassVar[bool] = True
    has_two_sides: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if not hasattr(cls.__init__, "remembers"):  # its own, or of a class that is mixed in
            type.__setattr__(cls, "__init__", _remembering(cls.__init__))

    @classmethod
    def without_effect_beside(cls, settings: Mapping[str, Any]) -> dict[str, Idle]:
        """Arguments of this class's constructor that do nothing beside these settings, and why (`model.effects`).

        settings: every keyword argument of the constructor, checked or not, by name.
        """
        return {}

    @classmethod
    def effective(cls, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The constructor's arguments without those that do nothing, which older folders may hold."""
        idle = idle_settings(cls, arguments)
        return {name: value for name, value in arguments.items() if name not in idle}


def _remembering(init: Callable[..., None]) -> Callable[..., None]:
    parameters = list(inspect.signature(init).parameters.values())[1:]
    takes_any = any(entry.kind is Parameter.VAR_KEYWORD for entry in parameters)
    names = {entry.name for entry in parameters}

    @functools.wraps(init)
    def remembering(self: Constructed, *args: Any, **kwargs: Any) -> None:
        model_class = type(self)
        unknown = [] if takes_any else [name for name in kwargs if name not in names]
        if unknown:
            known = ", ".join(accepted(model_class))
            raise TypeError(f"{model_class.__name__} has no argument {', '.join(unknown)}. Known: {known}.")
        if "arguments" not in vars(self):
            self.arguments = _bound(model_class, args, kwargs)
            _check_types(model_class, self.arguments)
            check_arguments(model_class, self.arguments)
        init(self, *args, **kwargs)

    vars(remembering)["remembers"] = True
    return remembering


def _check_types(model_class: type[Constructed], arguments: Mapping[str, Any]) -> None:
    """Raises `InputError` for an argument that is no default, and not what its annotation says, or not finite."""
    for name, parameter in signature_of(model_class).parameters.items():
        value, annotation = arguments.get(name, parameter.default), parameter.annotation
        if value is parameter.default:
            continue
        if annotation == list[Column]:  # `check_columns` looks at each
            if not isinstance(value, (list, tuple)):
                raise InputError(f"{name} must be a list of feature columns. Received: {shown(value)}.")
        elif not fits(value, annotation):
            raise InputError(f"{name} must be of type {type_words(annotation)}. Received: {shown(value)}.")
        elif fits(value, float) and not -math.inf < value < math.inf:
            raise InputError(f"{name} must be a finite number. Received: {value}.")


def _bound(model_class: type[Constructed], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments by name. Raises `TypeError` for one that is missing, and for too many."""
    signature = inspect.signature(model_class.__init__)
    try:
        bound = signature.bind(None, *args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{model_class.__name__}: {error}.") from None
    arguments = dict(list(bound.arguments.items())[1:])
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            arguments |= arguments.pop(parameter.name, {})
    return arguments
