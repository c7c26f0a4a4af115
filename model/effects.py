"""Settings that do nothing beside others: who gives one is told, instead of taking its result for that of the setting.

A setting is an argument of a model's constructor or an option of training (`training.options.TrainOptions`). A model
class declares what does nothing: `without_effect`, whatever the others are, and `without_effect_beside`, where it
depends on them; an option declares what it needs of a model (`foundation.options`). Command line, constructor and
`fit` refuse by these declarations alone:

- An argument of a part that a model lacks is refused with any value, like an unknown one.
- A setting that does nothing beside the others is refused unless it has the value that it would have if no one named
  it, the constructor's default, for `patience` that of the data set; or says what is so, as HIT's alpha=0 without
  generators. Whoever writes all settings out says nothing wrong.
- The constructor alone lets some pass with a warning, for programs written for deepctr-torch, where dnn_dropout beside
  no tower is common (`Idle.habit`).
- A data set's defaults are no one's request: those that do nothing beside what was asked for are left out.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from foundation.errors import InputError, InputWarning
from foundation.options import options_of
from model.layers.activation import is_steady
from model.signature import keyword_parameters
from training.click_loss import IN_BATCH
from training.options import TrainOptions

if TYPE_CHECKING:
    from model.constructor import Constructed

# What makes a model score otherwise in training than in evaluation, and what of it is a switch.
SWITCHES = ("dnn_dropout", "dnn_use_bn", "unknown_rate")
RANDOM = (*SWITCHES, "dnn_activation")
NEEDLESS = ("batch_size", "patience")  # `fit` takes them of every model: a batch size, and a bound that is not reached


@dataclass(frozen=True)
class Idle:
    """Why a setting does nothing.

    why: what follows "has no effect on NAME, ".  change: what would give it one.
    habit: whether deepctr-torch's users give it all the same, as its own tests do: the constructor warns then.
    """

    why: str
    change: str = ""
    habit: bool = False

    def refusal(self, setting: str, name: str) -> InputError:
        """setting: as the person wrote it; name: of the model."""
        instead = f", or {self.change}" if self.change else ""
        return InputError(f"{setting} has no effect on {name}, {self.why}. Leave it out{instead}.")


# Why the loss over the items of a batch does nothing for a ranking model.
ONE_SIDE = Idle("which has no vectors of users and items", "choose a two-tower model")


@functools.cache
def constructor_defaults(model_class: type[Constructed]) -> Mapping[str, Any]:
    """The keyword arguments of a model's constructor, those of its base classes among them, with their defaults."""
    return MappingProxyType({name: entry.default for name, entry in keyword_parameters(model_class).items()})


def idle_settings(
    model_class: type[Constructed], settings: Mapping[str, Any], options: type = TrainOptions
) -> dict[str, Idle]:
    """Every setting that does nothing beside these, which the constructor's defaults complete.

    options: what declares the options of training, and perhaps further ones.
    """
    settings = {**constructor_defaults(model_class), **settings}
    idle = {name: Idle(why) for name, why in model_class.without_effect.items()}
    for name, declared in options_of(options).items():
        for needed, why in declared.needs.items():
            if not getattr(model_class, needed):
                idle[name] = Idle(why)
    if settings.get("loss") == IN_BATCH and not model_class.has_two_sides:
        idle.setdefault("loss", ONE_SIDE)
    idle |= model_class.without_effect_beside(settings)
    epochs = settings.get("epochs")
    random = [name for name in RANDOM if name in settings and name not in model_class.without_effect]
    if not any(_is_random(name, settings[name]) for name in random if name not in idle):
        change = f"switch {' or '.join(name for name in random if name in SWITCHES)} on" if random else ""
        idle["published_eval_mode"] = Idle("which trains as it evaluates", change)
    elif epochs is not None and epochs - settings.get("initial_epoch", 0) < 2:
        idle["published_eval_mode"] = Idle("whose only epoch it leaves as it is", "train for more epochs")
    if epochs is not None and (settings.get("patience") or 0) >= epochs - model_class.epochs_before_patience:
        idle["patience"] = Idle(f"which trains for {epochs} epochs, too few for it to run out", "train for more")
    return idle


def _is_random(name: str, value: Any) -> bool:
    return not is_steady(value) if name == "dnn_activation" else bool(value)


def check_arguments(model_class: type[Constructed], arguments: Mapping[str, Any]) -> None:
    """Says which argument does nothing beside the others: by `InputWarning` where `Idle.habit`, else by `InputError`.

    arguments: what the constructor got; called from `model.constructor`, for the line that the warning names.
    """
    defaults = constructor_defaults(model_class)
    for name, reason in idle_settings(model_class, arguments).items():
        lacking = name in model_class.without_effect
        if name in arguments and (lacking or arguments[name] != defaults[name]):
            refusal = reason.refusal(name, model_class.__name__)
            if not reason.habit:
                raise refusal
            warnings.warn(str(refusal), InputWarning, stacklevel=3)


def check_options(model: Constructed, options: TrainOptions, validated: bool) -> None:
    """Raises `InputError` for an option of `fit` that does nothing. validated: whether there are validation rows."""
    idle = idle_settings(type(model), model.arguments | vars(options))
    if not validated and options.stop_after is None:
        idle.setdefault("published_eval_mode", Idle("without validation rows", "pass validation_data"))
    for name, reason in idle.items():
        if name in vars(options) and name not in NEEDLESS and getattr(options, name) != getattr(TrainOptions, name):
            raise reason.refusal(f"{name}={getattr(options, name)!r}", type(model).__name__)
