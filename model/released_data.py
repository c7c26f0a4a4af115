"""Differences of the releases in rows and features, and in the training loop (`model.released`)."""

from __future__ import annotations

from model.difference import Difference

SCRIPTS = "the training scripts, HIT: preprocessing/dataProcess.py"
PUBLISHED = {"protocol": "published"}
NO_EFFECT = "It has no effect on a score."

ROWS = [
    Difference(
        "label statistics of the scored rows",
        "rows",
        SCRIPTS,
        "The mean label of a user and of an item is computed over the part that is scored, including the scored row. "
        "The audit says what these two numbers alone reach.",
        settings=PUBLISHED,
        datasets=("movielens",),
    ),
    Difference(
        "label statistics before the split",
        "rows",
        "train_amazon_inttower.py, HIT: amazonDataProcess",
        "The mean label of a user and of an item is computed over all rows, including the test rows.",
        settings=PUBLISHED,
        datasets=("amazon",),
    ),
    Difference(
        "two statistics, not three",
        "rows",
        SCRIPTS,
        "Training and validation rows share one mean label and one history, made before the two are split. A "
        "training row reads labels of validation rows, and the reverse.",
        settings=PUBLISHED | {"statistics": "two_parts"},
        datasets=("movielens",),
    ),
    Difference(
        "validation rows from the tail",
        "rows",
        "fit(validation_split=0.2) of every base class, after two joins in the scripts",
        "The joins sort the rows by movie, and the last fifth validates. With seed 1023 training has 2,704 movies, "
        "none with an id above 2,966. All but 231 validation rows are of unseen movies, and so are 20.0 % of the test"
        " rows.",
        settings=PUBLISHED | {"validation_rows": "tail"},
        datasets=("movielens",),
    ),
    Difference(
        "users without a positive in a part",
        "rows",
        "data_process of the scripts, HIT: movieDataProcess",
        "An inner join adds the list of liked movies, for training rows and test rows separately. A user without a "
        "positive in a part drops out of it. With seed 1023 these are 121 training rows and 105 test rows.",
        settings=PUBLISHED,
        datasets=("movielens",),
    ),
    Difference(
        "users without a positive",
        "rows",
        "data_process of the scripts, HIT: amazonDataProcess, taobaoDataProcess",
        "Users without a positive among all rows drop out before the split. This changes the click rate, and so the "
        "task.",
        settings=PUBLISHED,
        datasets=("amazon", "taobao"),
    ),
    Difference(
        "rows without a profile",
        "rows",
        "train_taobao_IntTower.py, HIT: taobaoDataProcess",
        "Users and ads are joined by inner joins. Rows of a user without a profile, or of an ad without features, drop "
        "out.",
        settings=PUBLISHED,
        datasets=("taobao",),
    ),
    Difference(
        "scaler fitted twice",
        "rows",
        "train_movielens_IntTower.py, train_movielens_dssm.py, train_movielens_deepfm.py, HIT: movieDataProcess",
        "MinMaxScaler is fitted on training rows and then on test rows, which replaces the first. Both parts are "
        "scaled by the range of the test rows.",
        settings=PUBLISHED,
        datasets=("movielens",),
    ),
    Difference(
        "history in every model",
        "rows",
        "HIT: movieDataProcess",
        "Every model reads the user's liked movies of the row's own part, including the scored row. So whether the "
        "movie is in the list is the label. The list is mean-pooled from its own embedding table. IntTower then has "
        "five user fields.",
        settings={"history": True, "own_history_table": True},
        releases=("hit",),
        datasets=("movielens",),
    ),
    Difference(
        "categories as one value",
        "rows",
        "train_amazon_inttower.py, HIT: amazonDataProcess",
        "The categories of an item are one value, where the data have a list.",
        settings=PUBLISHED,
        datasets=("amazon",),
    ),
    Difference(
        "position on the item's side",
        "rows",
        "train_taobao_IntTower.py, HIT: taobaoDataProcess",
        "The item's tower reads the position on the page, pid, so an ad has one vector for each position. It is the "
        "default here, too.",
        datasets=("taobao",),
    ),
    Difference(
        "vocabularies of 1,000 and 4,000",
        "rows",
        SCRIPTS,
        "Lists of genres and of liked movies have tables of 1,000 and 4,000 rows, whatever their values. Id 0 is a "
        "value, and is not kept for unknown ones.",
        why=NO_EFFECT,
        datasets=("movielens",),
    ),
    Difference(
        "list ids beyond the table",
        "rows",
        SCRIPTS,
        "Ids of lists are numbered while rows are read, including test rows. Nothing keeps them within the table. On "
        "MovieLens all are within it.",
        why="It would be an error, not a result.",
        datasets=("movielens",),
    ),
    Difference(
        "ids as float32",
        "rows",
        "fit and predict of every base class",
        "All ids are in one float32 matrix, where ids above 2^24 would merge.",
        why="The largest vocabulary of the three data sets has 1.1 million ids.",
    ),
]

LOOP = [
    Difference(
        "summed loss",
        "loop",
        "fit of every base class",
        "The cross-entropy is summed over the batch. The l2 of 1e-5 on whole embedding tables, the mimic loss and the "
        "generation loss are added unchanged. So their weight falls as the batch size grows.",
        settings={"summed_loss": True, "l2_reg_embedding": 1e-5},
    ),
    Difference(
        "loss of probabilities",
        "loop",
        "fit of every base class",
        "The cross-entropy is computed from float32 probabilities. Above a logit of about 17 they are 1, and a row "
        "with that error has no gradient.",
        settings={"loss": "probability_crossentropy"},
    ),
    Difference(
        "evaluation mode for good",
        "loop",
        "fit, evaluate and predict of every base class",
        "The first validation leaves the model in evaluation mode, and nothing switches it back. Dropout and batch "
        "statistics are active in the first epoch alone.",
        settings={"published_eval_mode": True},
    ),
    Difference(
        "metrics of batches",
        "loop",
        "fit of every base class",
        "The AUC of training rows is the mean of the batches' AUCs, computed in every step.",
        why="It is shown and decides nothing.",
    ),
    Difference(
        "AUC of rounded predictions",
        "loop",
        "HIT: gbdt_movielens.py, gbdt_amazon.py, gbdt_taobao.py",
        "The AUC of GBDT is that of predictions rounded to 0 or 1, which is too low.",
        models=("gbdt",),
        why="It is a mistake in the measure, not in the model.",
        releases=("hit",),
    ),
]
