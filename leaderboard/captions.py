"""What to look at in each picture of results, in one or two sentences."""

CAPTIONS = {
    "auc_latency": (
        "Test AUC without label leak against the time of a request. Up is better, left is faster. The dotted line "
        "leads from the best two-tower model to the fastest ranking model."
    ),
    "leaderboard": (
        "Test AUC of the models under each protocol, with 95 % intervals over seeds. A ring is the number of the "
        "model's paper."
    ),
    "ladder": (
        "From the paper's AUC to that on later data, one step per row. A bar goes from the AUC before a step to the "
        "AUC after it. The grey rows are the protocols without the label leak."
    ),
    "survivors": (
        "The share of the ranker's best 100 items that a two-tower model keeps among its own best 200, 400 and 800. "
        "Further right is better."
    ),
    "reliability": (
        "Share of positives against predicted probability. A model whose probabilities are right follows the diagonal."
    ),
    "learning": "Validation AUC by epoch, mean over seeds. The large mark and the number are a model's best epoch.",
    "ablations": (
        "What each change does to test AUC: mean, seeds and 95 % interval of the paired difference. A bar in colour is "
        "a significant difference."
    ),
    "heads": "Test AUC by number of heads, with 95 % intervals. The dashed line is from HIT's paper.",
}
