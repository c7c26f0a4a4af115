"""The ablations: which settings of one model are varied, as command lines."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from leaderboard.data_sets import DataSet
from leaderboard.entrants import SHOWN_VARIANTS, title
from leaderboard.jobs import GRID_ARGUMENTS, Job, first_seeds, grid
from leaderboard.settings import Settings, arguments_of
from model import MODELS, default_settings
from model.effects import constructor_defaults


@dataclass(frozen=True)
class Ablation:
    """What is varied of one model.

    variants: name -> what differs from the default settings.
    reference: the variant that all others are compared with, the default settings among them; "": these themselves.
    default_heads: of the default settings on MovieLens, if the variants are numbers of heads.
    protocols: the only ones under which it asks a question; (): any.
    group: of ablations that ask one question of several models, which have one table together.
    """

    title: str
    model: str
    variants: dict[str, Settings] = field(default_factory=dict)
    reference: str = ""
    default_heads: int | None = None
    protocols: tuple[str, ...] = ()
    group: str = ""

    @property
    def compared(self) -> list[str]:
        """What is compared with the reference: all others, "" for the default settings."""
        return [name for name in ("", *self.variants) if name != self.reference]

    @property
    def sweeps_heads(self) -> bool:
        return self.default_heads is not None

    def on(self, dataset: str) -> Ablation:
        """With the default number of heads on another data set ("amazon", ...)."""
        if not self.sweeps_heads:
            return self
        argument = next(iter(next(iter(self.variants.values()))))
        defaults = constructor_defaults(MODELS[self.model].model_class) | default_settings(self.model, dataset)
        return replace(self, default_heads=defaults[argument])

    def heads(self) -> dict[int, str]:
        """Number of heads -> variant, the default settings among them."""
        default = {} if self.default_heads is None else {self.default_heads: ""}
        return default | {int(name.removeprefix("heads_")): name for name in self.variants}


HISTORY, AS_OF, CHOOSING = "history", "as_of", "choosing"  # questions asked of several models
# Settings that differ in test AUC, to tell how well validation rows choose (`leaderboard.choosing`).
TO_CHOOSE_FROM: dict[str, dict[str, Settings]] = {
    "int_tower": {
        "more_cir": {"cir_weight": 0.5},
        "ids_all_known": {"unknown_rate": 0.0},
        "little_l2": {"l2_reg_embedding": 1e-5},
    },
    "hit": {
        "ids_unknown": {"unknown_rate": 0.1},
        "little_l2": {"l2_reg_embedding": 1e-5},
        "dropped": {"dnn_dropout": 0.3},
    },
    "deep_fm": {
        "ids_unknown": {"unknown_rate": 0.1},
        "little_l2": {"l2_reg_embedding": 1e-5},
        "dropped": {"dnn_dropout": 0.3},
    },
}

ABLATIONS = [
    Ablation(
        "IntTower's parts",
        "int_tower",
        {
            "no_light_se": {"light_se": False},
            "fe_last_level_only": {"fe_score": "last"},
            "no_cir": {"cir_weight": 0},
            "fe_input_pre": {"fe_input": "pre"},
        },
    ),
    Ablation(
        "IntTower's heads",
        "int_tower",
        {f"heads_{n}": {"user_head": n, "item_head": n} for n in (1, 2, 8, 16, 32)},
        default_heads=4,
    ),
    Ablation(
        "CIR's weight",
        "int_tower",
        {f"cir_weight_{weight}": {"cir_weight": weight} for weight in (0.01, 0.2, 0.5, 1.0, 2.0)},
    ),
    Ablation(
        "CIR's temperature",
        "int_tower",
        {f"cir_temperature_{temperature}": {"cir_temperature": temperature} for temperature in (0.07, 0.5)},
    ),
    Ablation(
        "One head and more CIR",
        "int_tower",
        {"heads_1_cir_weight_1.0": {"user_head": 1, "item_head": 1, "cir_weight": 1.0}},
    ),
    Ablation(
        "HIT's generators",
        "hit",
        {
            "no_target": {"use_target": False},
            "no_non_target": {"use_non_target": False},
            "no_generators": {"use_target": False, "use_non_target": False},
        },
    ),
    Ablation(
        "HIT's heads",
        "hit",
        {f"heads_{n}": {"num_heads": n} for n in (1, 3, 4, 5, 6)},
        default_heads=2,
    ),
    Ablation(
        "HIT's generation loss",
        "hit",
        {f"loss_{kind}": {"generation_loss": kind} for kind in ("euclidean", "manhattan", "mae", "mse", "none")},
    ),
    Ablation(
        "DSSM's gamma",
        "dssm",
        {"gamma_learned": {"gamma": "learned"}},
    ),
    Ablation(
        "The evaluation mode",
        "int_tower",
        {
            "dropout": {"dnn_dropout": 0.3},
            "dropout_published_eval_mode": {"dnn_dropout": 0.3, "published_eval_mode": True},
        },
        reference="dropout",  # the defaults have none for the defect to switch off
    ),
    *(
        Ablation(
            f"The history in {title(model)}",
            model,
            {"no_history": {"history": False}} if MODELS[model].history else {"history": {"history": True}},
            protocols=("holdout", "temporal"),
            group=HISTORY,
        )
        for model in ("hit", "int_tower", "deep_fm", "dcn", "mvke", "poly_encoder")
    ),
    *(
        Ablation(
            f"As of a row's time in {title(model)}",
            model,
            {AS_OF: {"statistics": AS_OF}},
            protocols=("temporal",),
            group=AS_OF,
        )
        for model in ("lr", "dssm", "deep_fm", "int_tower", "hit")
    ),
    *(
        Ablation(f"Settings of {title(model)}", model, settings, protocols=("temporal",), group=CHOOSING)
        for model, settings in TO_CHOOSE_FROM.items()
    ),
]


def ablation_jobs(dataset: DataSet, protocols: list[str], seeds: int, ablations: list[Ablation]) -> list[Job]:
    """Every variant of these ablations under every protocol with every seed, without the defaults."""
    return [
        Job(
            dataset,
            protocol,
            ablation.model,
            seed,
            variant,
            (*GRID_ARGUMENTS.get(protocol, ()), *arguments_of(settings)),
        )
        for seed in first_seeds(seeds)
        for protocol in protocols
        for ablation in ablations
        if not ablation.protocols or protocol in ablation.protocols
        for variant, settings in ablation.variants.items()
    ]


def shown_variant_jobs(dataset: DataSet, models: list[str], protocols: list[str], seeds: int) -> list[Job]:
    """Those variants of these models that stand beside the models (`leaderboard.entrants`), for a grid to have them."""
    shown = {pair for pair in SHOWN_VARIANTS.values() if pair[0] in models}
    jobs = ablation_jobs(dataset, protocols, seeds, ABLATIONS)
    return [job for job in jobs if (job.model, job.variant) in shown]


def entrant_jobs(dataset: DataSet, models: list[str], protocols: list[str], seeds: int) -> list[Job]:
    """The grid, and the variants that stand beside its models."""
    return grid(dataset, models, protocols, seeds) + shown_variant_jobs(dataset, models, protocols, seeds)
