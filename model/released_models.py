"""Differences of the releases in their models (`model.released`)."""

from __future__ import annotations

from model.difference import TWO_TOWERS, Difference

FE_DNN = "layers/core.py: User_Fe_DNN, Item_Fe_DNN"
ACROSS = "No row's score may depend on the other rows of its batch. The attention of the paper's model is used instead."

STRUCTURE = [
    Difference(
        "small start of linear maps",
        "model",
        "layers/core.py: DNN, User_Fe_DNN, Item_Fe_DNN, HIT: ImplicitInteraction",
        "Weights of towers and generators start at N(0, 1e-4), as embeddings do, so the signal nearly vanishes. Biases "
        "and the FE-Block's projections start at torch's default.",
        settings={"tower_std": 1e-4, "init_std": 1e-4},
    ),
    Difference(
        "biases before batch norm",
        "model",
        "layers/core.py: DNN, User_Fe_DNN, Item_Fe_DNN",
        "Linear maps keep a bias. Batch norm removes it in training mode, but it moves the score in evaluation mode.",
        models=TWO_TOWERS,
        settings={"tower_bias": True},
    ),
    Difference(
        "last layer behind a ReLU",
        "model",
        "layers/core.py: DNN",
        "The last layer of a tower ends in batch norm, ReLU and dropout like the others. No vector has a negative "
        "entry, and a cosine lies between 0 and 1.",
        models=("dssm", "dat"),
        settings={"relu_output": True},
    ),
    Difference(
        "plain cosine",
        "model",
        "preprocessing/utils.py: Cosine_Similarity",
        "The cosine goes into the logit with gamma 1. Probabilities span little, and the logloss of DSSM is high "
        "beside its AUC. It is the default here, too.",
        models=("dssm", "dat"),
        settings={"gamma": 1.0},
    ),
    Difference(
        "cosine of the mixture",
        "model",
        "model/mvke.py, model/poly_encoder.py",
        "The score is the cosine of the user's mixed vector and the item's with gamma 1, not their product.",
        models=("mvke", "poly_encoder"),
        settings={"cosine": True},
        releases=("hit",),
    ),
    Difference(
        "attention across the batch",
        "model",
        "layers/attention.py: target_dot_attention",
        "Attention multiplies (B, d) by (d, B), so the score of a row depends on the other rows of its batch.",
        models=("mvke", "poly_encoder"),
        why=ACROSS,
        releases=("hit",),
    ),
    Difference(
        "self-attention over one vector",
        "model",
        "model/poly_encoder.py",
        "Self-attention of Poly-Encoder runs over a sequence of one, where its softmax is 1. So there are no codes.",
        models=("poly_encoder",),
        why="It feeds the attention across the batch. Learned codes over the user's fields are used instead.",
        releases=("hit",),
    ),
    Difference(
        "experts over a finished vector",
        "model",
        "model/mvke.py, layers/mmoe.py: MMOE_ExpertAttention",
        "Experts of MVKE read the output of one tower and one virtual kernel, and are added to it.",
        models=("mvke",),
        why="It feeds the attention across the batch. Kernels over the user's fields are used instead.",
        releases=("hit",),
    ),
    Difference(
        "FE-Block of inputs",
        "model",
        FE_DNN,
        "The user's side projects the input of each layer, including the raw embeddings. The item's side projects only "
        "the output of its last layer. The output of the user's last layer is never used.",
        models=("int_tower",),
        settings={"fe_input": "pre"},
    ),
    Difference(
        "FE-Block of biases and sums",
        "model",
        FE_DNN,
        "The projections have biases, and maxima are summed without a divisor. With 32 heads one step of Adam moves a "
        "logit by tens.",
        models=("int_tower", "hit"),
        settings={"fe_bias": True, "fe_sum": True},
    ),
    Difference(
        "last level by the first entry",
        "model",
        "README: fe_score of the last layer",
        "The function that the README gives for fast serving reads the first level, not the last.",
        models=("int_tower",),
        why="It is in the README alone. Pasted into preprocessing/utils.py it computes the same here.",
        releases=("inttower",),
    ),
    Difference(
        "Light-SE without a bias",
        "model",
        "layers/interaction.py: LightSE",
        "The map of Light-SE has no bias. The README's snippet has one.",
        models=("int_tower",),
        settings={"light_se_bias": False},
    ),
    Difference(
        "CIR left out",
        "model",
        "model/base_tower.py: fit",
        "The contrastive term is computed, and the line that adds it is a comment. The third part of the paper is not "
        "in the released model.",
        models=("int_tower",),
        settings={"cir_weight": 0.0},
    ),
    Difference(
        "layers without use",
        "model",
        "model/IntTower.py, model/dssm.py (IntTower), model/DAT.py, model/deepfm.py, model/hit.py, model/mvke.py, "
        "model/poly_encoder.py",
        "SENET, and in HIT Light-SE, are constructed but not used in the forward pass. IntTower's count of parameters "
        "contains 12 of them on MovieLens.",
        models=("int_tower", "dssm", "dat", "deep_fm", "hit", "mvke", "poly_encoder"),
        why="It has no effect on a score.",
    ),
    Difference(
        "generators end in a ReLU",
        "model",
        "layers/interaction.py: ImplicitInteraction",
        "Both layers of a generator end in a ReLU. So a mimic has no negative entry, but the vector that it imitates "
        "has.",
        models=("hit",),
        settings={"generator_relu": True},
        releases=("hit",),
    ),
    Difference(
        "sign and mean of the generation loss",
        "model",
        "preprocessing/utils.py: generation_cosine_loss",
        "The loss +cos is minimised, which pushes mimics away from the vectors that they imitate. Each term is a mean "
        "over all rows of the batch. Liked rows count in the target term and the others in the non-target term.",
        models=("hit",),
        settings={"generation_loss": "released"},
        releases=("hit",),
    ),
    Difference(
        "names of other generation losses",
        "model",
        "preprocessing/utils.py: generation_ed_loss, generation_md_loss",
        "The loss called Euclidean is a sum of squares. The one called Manhattan is a sum over the whole batch.",
        models=("hit",),
        why="They are comments in the released loop. The distances of these names are here.",
        releases=("hit",),
    ),
    Difference(
        "label mean in generators",
        "model",
        "preprocessing/dataProcess.py: amazonDataProcess",
        "On Amazon the user's generators read all columns, including the mean label. The item's read the two sparse "
        "ones.",
        models=("hit",),
        settings={"user_static": ("reviewerID", "user_mean_rating"), "item_static": ("asin", "categories")},
        releases=("hit",),
        datasets=("amazon",),
    ),
    Difference(
        "random augmented vectors",
        "model",
        "model/DAT.py, HIT: model/dat.py",
        "Augmented vectors come from torch.rand in every forward pass, in evaluation too. So no prediction repeats.",
        models=("dat",),
        why="A score must repeat. One learned vector for each id is used instead, as in the paper.",
    ),
    Difference(
        "mimic loss of the towers",
        "model",
        "preprocessing/utils.py: dual_augmented_loss",
        "The mimic loss reads the towers' outputs before they are normalised, and its gradient reaches them. So it "
        "draws the towers to random vectors.",
        models=("dat",),
        why="With learned vectors, the vectors imitate. No gradient flows to the towers' normalised outputs, as in the "
        "paper.",
    ),
    Difference(
        "mean of the mimic loss",
        "model",
        "preprocessing/utils.py: dual_augmented_loss",
        "The mimic loss is a mean over rows and dimensions, not over rows alone, with weight 1.",
        models=("dat",),
        settings={"mimic_mean": True, "mimic_weight": 1.0},
    ),
    Difference(
        "SENET in COLD",
        "model",
        "model/cold.py",
        "Fields are weighed by SENET, two layers with ReLU on their means, and a residual. The paper has one layer "
        "with a sigmoid on all fields.",
        models=("cold",),
        settings={"se": "senet"},
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
        "l2 of DCN's cross layers",
        "model",
        "model/dcn.py",
        "The weights of the cross layers have an l2 of 1e-5, as in deepctr-torch.",
        models=("dcn",),
        settings={"l2_reg_cross": 1e-5},
    ),
    Difference(
        "DSSM without dropout",
        "model",
        "train_movielens_dssm.py, HIT: preprocessing/model_select.py",
        "The script sets a dropout and does not give it to the model.",
        models=("dssm",),
        settings={"dnn_dropout": 0.0},
    ),
    Difference(
        "Wide&Deep without dropout",
        "model",
        "preprocessing/model_select.py",
        "The dropout of the command line is not given to the model, which then trains as it evaluates.",
        models=("wide_and_deep",),
        settings={"dnn_dropout": 0.0},
        releases=("hit",),
    ),
]
