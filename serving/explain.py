"""Why these items: what each head, code or expert of the user adds to an item's logit, and the weights of fields."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from foundation.errors import InputError
from foundation.features import Features
from foundation.shown import shortened
from model.interaction import AdditiveInteraction, Levels
from serving.candidates import find_candidates
from serving.ranker import PreRanker, User
from serving.scorer import Scorer
from serving.state import State
from training.pictures import draw_png

DRAWN = 100  # items and vectors of the user in a picture, which takes memory by their product
NUMBERED = 24  # vectors of the user whose cells have room for a number
LABEL, NAME, TITLE = 40, 20, 160  # columns of text: of an item, of a feature or vector, above the picture
ROWS = 4096  # items that are explained at a time


@dataclass(frozen=True)
class Explanation:
    """terms: (items, R) what each of the user's vectors adds to the logit; with the bias they sum to it.

    names: of the R vectors. matched: (items, R) the item head that each met best, from 1; None where items have one.
    field_weights: "user" and "item" -> field -> Light-SE weight (of items the mean), empty without Light-SE.
    """

    items: list
    names: list[str]
    terms: np.ndarray
    matched: np.ndarray | None
    field_weights: dict[str, dict[str, float]]

    def as_json(self) -> dict:
        matched = None if self.matched is None else self.matched.tolist()
        return {**vars(self), "terms": self.terms.tolist(), "matched": matched}


def explain(ranker: PreRanker, user: User, items: list, levels: Levels = None) -> Explanation:
    """Raises `InputError` for a model whose users have one vector, and for an interaction with `forward` alone."""
    state = ranker.state
    model, interaction = state.model, state.scorer.additive
    if interaction is None:
        raise InputError(
            f"The interaction of this {type(model).__name__} has a forward alone (a cosine as released has, and an "
            "edited fe_score), whose parts nobody knows. Leave --explain out."
        )
    if interaction.vector_name is None:
        raise InputError(f"{type(model).__name__} has no heads to explain. Leave --explain out.")
    rows = find_candidates(state.items, items, ordered=True).rows
    assert isinstance(rows, np.ndarray)  # of one user
    items = state.items.ids(rows).tolist()
    features = state.request([user])
    with torch.inference_mode():
        query = state.scorer.query(model.encode_user(features), levels)  # (1, Q, d)
        parts = np.split(rows, range(ROWS, len(rows), ROWS))
        pieces = [_terms(state.scorer, interaction, query, state.items.vectors(part)) for part in parts]
    terms = np.concatenate([piece for piece, _ in pieces])
    heads = [piece for _, piece in pieces if piece is not None]
    matched = np.concatenate(heads) if heads else None
    names = interaction.names(terms.shape[1], levels)
    return Explanation(items, names, terms, matched, _field_weights(state, features, rows))


def _terms(
    scorer: Scorer, interaction: AdditiveInteraction, query: torch.Tensor, vectors: torch.Tensor
) -> tuple[np.ndarray, np.ndarray | None]:
    """(1, Q, d) and (n, H * d) -> (n, R) terms, and the (n, R) item heads matched, None where items have one."""
    heads = vectors.view(len(vectors), scorer.heads, scorer.dim).permute(1, 2, 0)  # (H, d, n)
    products = (query @ heads).reshape(1, scorer.heads, 1, -1, len(vectors))  # (1, H, 1, Q, n)
    terms = interaction.terms(products)[0, 0].T.numpy()  # (n, R)
    return terms, products[0, :, 0].argmax(0).T.numpy() + 1 if scorer.heads > 1 else None


def _field_weights(state: State, user: Features, rows: np.ndarray) -> dict[str, dict[str, float]]:
    """Of the user, and the mean of these items; a side without weights is left out."""
    table, names = state.items.entities(rows).features, [column.name for column in state.model.item_columns]
    items = {name: table.batch(name, torch.arange(len(rows))) for name in names}
    with torch.inference_mode():
        sides = {"user": state.model.field_weights("user", user), "item": state.model.field_weights("item", items)}
    return {
        side: {name: weights.mean().item() for name, weights in fields.items()}
        for side, fields in sides.items()
        if fields
    }


def heat_map(explanation: Explanation, labels: list[str], title: str) -> bytes:
    """A picture: items by the user's vectors, the number of the item head matched in each cell; field weights below.

    Of many items and vectors the first `DRAWN` of each. Raises `PictureError`.
    """
    terms = explanation.terms[:DRAWN, :DRAWN]
    rows, columns = terms.shape
    matched = explanation.matched if columns <= NUMBERED else None
    weighed = bool(explanation.field_weights)
    main, below = 2.0 + 0.3 * rows, 2.2 if weighed else 0.0  # inches

    def paint(figure) -> None:
        top, bottom = figure.subfigures(2, 1, height_ratios=[main, below]) if weighed else (figure, None)
        axis = top.subplots()
        limit = float(np.abs(terms).max()) or 1.0
        image = axis.imshow(terms, aspect="auto", cmap="RdBu_r", vmin=-limit, vmax=limit)
        axis.set_yticks(range(rows), [shortened(label, LABEL) for label in labels[:rows]])
        axis.set_xticks(
            range(columns), [shortened(name, NAME) for name in explanation.names[:columns]], rotation=60, ha="right"
        )
        top.colorbar(image, label="added to the logit; number: item head met")
        if matched is not None:
            for row, column in np.ndindex(rows, columns):
                shade = "white" if abs(terms[row, column]) > 0.6 * limit else "black"
                axis.text(column, row, str(matched[row, column]), ha="center", va="center", color=shade, fontsize=8)
        axis.set_title("\n".join([shortened(title, TITLE), *beginning(explanation)]))
        if bottom is not None:
            panels = np.atleast_1d(bottom.subplots(1, len(explanation.field_weights)))
            for panel, (side, weights) in zip(panels, explanation.field_weights.items(), strict=True):
                panel.barh(range(len(weights)), list(weights.values()))
                panel.set_yticks(range(len(weights)), [shortened(name, NAME) for name in weights])
                panel.set_title(f"Light-SE, {side}")

    return draw_png((max(7.0, 4.0 + 0.42 * columns), main + below), paint)


def beginning(explanation: Explanation) -> list[str]:
    """Of what a picture shows the beginning, where it does not show all: no line or one.

    >>> beginning(Explanation([], [], np.zeros((250, 4)), None, {}))
    ['the first 100 of 250 items']
    """
    sizes = zip(explanation.terms.shape, ("items", "vectors of the user"), strict=True)
    parts = [f"the first {DRAWN} of {size:,} {what}" for size, what in sizes if size > DRAWN]
    return [", ".join(parts)] if parts else []
