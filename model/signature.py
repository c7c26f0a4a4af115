"""The arguments of a model's constructor, those of its base classes among them, for people, editors and checks.

A constructor takes its own arguments by name and hands the rest on as `**common`. What the rest is, a type checker and
an editor read from the `TypedDict` that annotates it (PEP 692); `inspect.signature`, `help` and notebooks are given one
signature with all of them. `tests/model/test_signatures.py` keeps the two equal.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from inspect import Parameter, Signature
from types import MappingProxyType
from typing import TYPE_CHECKING, TypedDict

import torch
from torch import nn

if TYPE_CHECKING:
    from model.constructor import Constructed


class CommonArguments(TypedDict, total=False):
    """What every model takes (`CTRModel`)."""

    task: str
    device: str | torch.device
    gpus: list[int | str | torch.device] | None
    seed: int


class LinearArguments(CommonArguments, total=False):
    """What a model without embeddings and towers takes."""

    l2_reg_linear: float
    unknown_rate: float


class TowerArguments(CommonArguments, total=False):
    """What a model of embeddings and towers takes (`TwoTower`)."""

    l2_reg_embedding: float
    l2_reg_dnn: float
    unknown_rate: float


class WideArguments(TowerArguments, LinearArguments, total=False):
    """What a model of embeddings, a tower and a linear part takes."""


class WideDeepArguments(WideArguments, total=False):
    """What `WideDeep` takes, for the models that build on it."""

    dnn_hidden_units: tuple[int, ...] | list[int]
    dnn_dropout: float
    dnn_use_bn: bool
    dnn_activation: str | type[nn.Module]
    tower_std: float | None
    tower_bias: bool
    init_std: float


@functools.cache
def keyword_parameters(model_class: type[Constructed]) -> Mapping[str, Parameter]:
    """The keyword arguments of a constructor by name, its own first, each as the nearest class declares it."""
    found: dict[str, Parameter] = {}
    for each in model_class.__mro__:
        if issubclass(each, nn.Module):
            for entry in _parameters(each):
                if entry.kind is entry.KEYWORD_ONLY:
                    found.setdefault(entry.name, entry)
    return MappingProxyType(found)


@functools.cache
def accepted(model_class: type[Constructed]) -> list[str]:
    """Names of the keyword arguments that a constructor takes: all up to the class that hands no others on, without
    those of parts that the model lacks.
    """
    names: set[str] = set()
    for each in model_class.__mro__:
        parameters = _parameters(each)
        names |= {entry.name for entry in parameters if entry.kind is entry.KEYWORD_ONLY}
        if all(entry.kind is not entry.VAR_KEYWORD for entry in parameters):
            break
    return sorted(names - model_class.without_effect.keys())


@functools.cache
def signature_of(model_class: type[Constructed]) -> Signature:
    """The constructor's signature with all keyword arguments that the model takes."""
    first = [each for each in _parameters(model_class)[1:] if each.kind not in (each.KEYWORD_ONLY, each.VAR_KEYWORD)]
    names = accepted(model_class)
    named = [entry for name, entry in keyword_parameters(model_class).items() if name in names]
    return Signature([*first, *named])


def _parameters(model_class: type) -> list[Parameter]:
    """With annotations as types, or as texts where one names what does not exist when the program runs."""
    constructor = inspect.getattr_static(model_class, "__init__")
    try:
        signature = inspect.signature(constructor, eval_str=True)
    except NameError:
        signature = inspect.signature(constructor)
    return list(signature.parameters.values())


class ConstructorSignature:
    """`Model.__signature__`, where `inspect.signature` looks. Of an object it is none: that is called with features."""

    def __get__(self, model: Constructed | None, model_class: type[Constructed]) -> Signature:
        if model is not None:
            raise AttributeError("__signature__")
        return signature_of(model_class)
