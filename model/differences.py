"""What the public releases of IntTower and HIT do otherwise than their papers, or than was probably meant: each once.

`docs/published_code.md`, the ladder and `model.released` are made from this table. What was read: archersama/IntTower
at a234d89 and HarveyYang123/HIT_model at 6a5dd67.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

RELEASES = ("inttower", "hit")
RANKING = ("cold", "wide_and_deep", "deep_fm", "dcn", "auto_int")
INT_TOWER = ("int_tower", "dssm", "dat", *RANKING)  # the models of either release
HIT = ("hit", "mvke", "poly_encoder", *INT_TOWER)
TWO_TOWERS = ("int_tower", "dssm", "dat", "hit", "mvke", "poly_encoder")


@dataclass(frozen=True)
class Difference:
    """One difference.

    part: "rows" and features, the "loop", or the "model".
    where: file, class or function in the release.  what: what it does, and what follows from it.
    models: keys of the table of models.  releases, datasets: that have it.
    settings: options and constructor arguments that bring it.
    reproduced: whether there are some.  why: if not, why not.
    """

    name: str
    part: Literal["rows", "loop", "model"]
    where: str
    what: str
    models: tuple[str, ...] = HIT
    settings: Mapping[str, Any] = field(default_factory=dict)
    reproduced: bool = True
    why: str = ""
    releases: tuple[str, ...] = RELEASES
    datasets: tuple[str, ...] = ("movielens", "amazon", "taobao")

    def concerns(self, model: str, release: str, dataset: str) -> bool:
        """Whether it is a difference of this model in this release on this data set."""
        return model in self.models and release in self.releases and dataset in self.datasets


DIFFERENCES: list[Difference] = [
    Difference(
        "history in every model",
        "rows",
        "HIT: preprocessing/dataProcess.py",
        "Every model reads the user's liked items, mean-pooled from a table of its own. On MovieLens they are those of "
        "the row's own part, the scored row included, so that the history holds the label.",
        settings={"history": True, "own_history_table": True},
        releases=("hit",),
        datasets=("movielens",),
    ),
    Difference(
        "summed loss",
        "loop",
        "fit of every base class",
        "The cross-entropy is summed over the batch; l2 and the other losses are added as they are.",
        settings={"summed_loss": True, "l2_reg_embedding": 1e-5},
    ),
    Difference(
        "evaluation mode after the first validation",
        "loop",
        "fit, evaluate and predict of every base class",
        "Validation leaves the model in evaluation mode and nothing switches it back.",
        settings={"published_eval_mode": True},
    ),
    Difference(
        "small start of linear maps",
        "model",
        "layers/core.py: DNN, User_Fe_DNN, Item_Fe_DNN",
        "All weights of towers start at N(0, 1e-4), biases at torch's default.",
        settings={"tower_std": 1e-4},
    ),
    Difference(
        "biases before batch norm",
        "model",
        "layers/core.py: DNN, User_Fe_DNN, Item_Fe_DNN",
        "Linear maps keep their bias, which batch norm takes away again.",
        models=TWO_TOWERS,
        settings={"tower_bias": True},
    ),
    Difference(
        "last layer behind a ReLU",
        "model",
        "layers/core.py: DNN",
        "The last layer of a tower ends in batch norm, ReLU and dropout too: vectors are not negative.",
        models=("dssm", "dat"),
        settings={"relu_output": True},
    ),
    Difference(
        "cosines",
        "model",
        "model/mvke.py, model/poly_encoder.py",
        "The score is the cosine of the user's mixed vector and the item's, with gamma 1.",
        models=("mvke", "poly_encoder"),
        settings={"cosine": True},
        releases=("hit",),
    ),
    Difference(
        "the FE-Block's inputs",
        "model",
        "layers/core.py: User_Fe_DNN, Item_Fe_DNN",
        "The user's side projects the input of each layer, the item's side its last output.",
        models=("int_tower",),
        settings={"fe_input": "pre"},
    ),
    Difference(
        "the FE-Block's biases and sums",
        "model",
        "layers/core.py: User_Fe_DNN, Item_Fe_DNN",
        "Projections have biases, and the maxima are summed.",
        models=("int_tower", "hit"),
        settings={"fe_bias": True, "fe_sum": True},
    ),
    Difference(
        "Light-SE without a bias",
        "model",
        "layers/interaction.py: LightSE",
        "The map of Light-SE has no bias.",
        models=("int_tower",),
        settings={"light_se_bias": False},
    ),
    Difference(
        "CIR left out",
        "model",
        "model/base_tower.py",
        "The contrastive term is computed and not added.",
        models=("int_tower",),
        settings={"cir_weight": 0.0},
    ),
    Difference(
        "generators end in a ReLU",
        "model",
        "layers/interaction.py: ImplicitInteraction",
        "Both layers of a generator end in a ReLU: a mimic has no negative entry.",
        models=("hit",),
        settings={"generator_relu": True},
        releases=("hit",),
    ),
    Difference(
        "sign and mean of the generation loss",
        "model",
        "preprocessing/utils.py: generation_cosine_loss",
        "The loss is +cos, minimised, and a mean over all rows of the batch.",
        models=("hit",),
        settings={"generation_loss": "released"},
        releases=("hit",),
    ),
    Difference(
        "SENET in COLD",
        "model",
        "model/cold.py",
        "Fields are weighed by SENET's two layers and a residual.",
        models=("cold",),
        settings={"se": "senet"},
    ),
    Difference(
        "mean of DAT's mimic loss",
        "model",
        "preprocessing/utils.py: dual_augmented_loss",
        "The mimic loss is a mean over rows and dimensions.",
        models=("dat",),
        settings={"mimic_mean": True, "mimic_weight": 1.0},
    ),
    Difference(
        "no l2 on AutoInt's linear part",
        "model",
        "model/autoint.py",
        "The linear part has no l2, as in deepctr-torch.",
        models=("auto_int",),
        settings={"l2_reg_linear": 0.0},
    ),
    Difference(
        "l2 of DCN's cross network",
        "model",
        "model/dcn.py",
        "The weights of the cross layers have an l2 of 1e-5, as in deepctr-torch.",
        models=("dcn",),
        settings={"l2_reg_cross": 1e-5},
    ),
]
