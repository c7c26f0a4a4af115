"""Interactions: how the vectors of a user and those of an item become a logit.

A user has R vectors u_r and an item H vectors v_h, all of size d. With their products P_rh = <u_r, v_h>:

    InnerProduct      dssm, dat         logit = gamma P + bias                           R = H = 1
    SumOfMaxima       int_tower, hit    logit = sum_r max_h P_rh + bias                  R = levels * H_u
    SoftmaxOverCodes  poly_encoder      logit = sum_r softmax_r(P_r) P_r + bias          R = codes, H = 1
    GatedKernels      mvke              logit = sum_r softmax_r(<c_r, v>) P_r + bias     R = experts, H = 1
    CosineOfMixture   both, as released logit = cos(sum_r w_r u_r, v) + bias             w: the softmax above, H = 1

Each scores aligned rows (`forward`), as training and evaluation need it, and says how the products of some users with
many items reduce to logits (`query`, `terms`, `reduce`), as serving, explanations and the ONNX export need it. Only the
cosine of a mixture does not: no product tells its length.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from foundation.errors import InputError
from foundation.values import is_number, shown
from kernels.short_softmax import short_softmax
from model.editable import version_of
from model.effects import Idle
from model.layers.attention import KernelAttention
from model.layers.cosine import over_lengths
from preprocessing import utils

version_of(utils.fe_score)  # now, as long as the file is what was loaded

# Of models that take gamma because the published constructors do.
NO_COSINE = {"gamma": Idle("whose gamma is 1", "use DSSM or DAT")}

Levels = str | list[int] | tuple[int, ...] | None


class Interaction(nn.Module, ABC):
    """The half of a two-tower model that sees both sides.

    One with `forward` alone is enough to train, evaluate and rank, at the speed of `forward`. `AdditiveInteraction` is
    for those that also reduce products, which makes ranking fast, explained and exported.
    """

    @abstractmethod
    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """Logits of user row b with item row b: users (B, R, d), items (B, H, d) -> (B,)"""

    def score_levels(self, levels: Sequence[Tensor], items: Tensor) -> Tensor:
        """`forward` of user vectors that come in parts (B, R_i, d), which sum to R."""
        return self(torch.cat(list(levels), dim=1), items)

    def choose(self, users: Tensor, levels: Levels) -> Tensor:
        """The vectors (U, R', d) that a request for these levels reads, of all (U, R, d).

        Raises `InputError` for levels of an interaction that has none.
        """
        if levels is not None:
            raise InputError(f"Only IntTower has levels to choose from. Leave levels={shown(levels)} out.")
        return users


class AdditiveInteraction(Interaction):
    """An interaction whose logit is a bias and a sum of terms, which are made of the products of vectors.

    vector_name: what one of the user's vectors is called in an explanation; None where there is only one.
    """

    vector_name: str | None = None

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(()))

    @property
    def is_product(self) -> bool:
        """Whether a logit is the product of the query's vectors, summed, with the item's one vector, and the bias."""
        return False

    def query(self, users: Tensor) -> Tensor:
        """(U, R, d) -> the vectors (U, Q, d) that are multiplied with those of items."""
        return users

    @abstractmethod
    def terms(self, products: Tensor) -> Tensor:
        """Products (G, H, U, Q, n) of G groups of n items -> (G, U, R, n), whose sum over R is the logit less its bias.

        May be a view of `products`.
        """

    def reduce(self, products: Tensor) -> Tensor:
        """Products (G, H, U, Q, n) -> logits (G, U, n) float32: sums are float32, whatever the products are."""
        terms = self.terms(products)
        summed = terms[:, :, 0].float() if terms.shape[2] == 1 else terms.sum(2, dtype=torch.float32)
        return summed + self.bias  # not in place: `terms` may be a view of products that the next chunk overwrites

    def names(self, count: int, levels: Levels) -> list[str]:
        """Of `count` terms, those of the chosen levels."""
        return [f"{self.vector_name} {number}" for number in range(1, count + 1)]


class InnerProduct(AdditiveInteraction):
    """logit = gamma * <u, v> + bias, a scaled cosine for vectors of length 1.

    The published code has the bias, too (deepctr-torch's prediction layer). With gamma = 1 it matters: where most
    labels are positive, 0.73 is below what most rows deserve, and without a bias they all end up there, in no order.

    gamma: a fixed positive number, or "learned": then it starts at 1 and is trained with the towers.
    """

    def __init__(self, gamma: float | str = 1.0):
        super().__init__()
        if gamma == "learned":
            self.log_gamma = nn.Parameter(torch.zeros(()))
        elif is_number(gamma) and 0 < float(gamma) < math.inf:
            self.register_buffer("log_gamma", torch.tensor(math.log(float(gamma))), persistent=False)
        else:
            raise InputError(f"gamma must be a positive number or 'learned'. Received: {gamma!r}.")

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """(B, 1, d) and (B, 1, d) -> (B,)"""
        product = (_only(users, "encode_user") * _only(items, "encode_item")).sum(dim=1)
        return self.log_gamma.exp() * product + self.bias

    @property
    def is_product(self) -> bool:
        return True

    def query(self, users: Tensor) -> Tensor:
        return users * self.log_gamma.exp()

    def terms(self, products: Tensor) -> Tensor:
        return products[:, 0]


class SumOfMaxima(AdditiveInteraction):
    """logit = sum_r max_h <u_r, v_h> + bias: each of the user's heads meets the item's head that fits it best.

    Aligned rows are scored by `preprocessing.utils.fe_score`, which people edit.

    user_heads, item_heads: H_u and H_v. num_levels: how many times H_u vectors a user has, one time for each layer of
    the tower; None for a model without levels, whose user has H_u vectors.
    """

    vector_name = "head"

    def __init__(self, user_heads: int, item_heads: int, num_levels: int | None = None):
        super().__init__()
        self.user_heads, self.item_heads, self.num_levels = user_heads, item_heads, num_levels

    @property
    def editable(self) -> dict[str, str]:
        """Name and version of the function that its scores hang on and that people edit."""
        return {"fe_score": version_of(utils.fe_score)}

    @property
    def is_product(self) -> bool:
        return self.item_heads == 1  # there is no maximum to take then, however many heads the user has

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """(B, R, d), R a multiple of H_u, and (B, H_v, d) -> (B,)"""
        if users.ndim != 3 or users.shape[1] % self.user_heads or items.shape[1] != self.item_heads:
            raise InputError(
                f"{self.user_heads} user heads (a level) and {self.item_heads} item heads were announced. Received "
                f"vectors of shape {tuple(users.shape)} from encode_user, {tuple(items.shape)} from encode_item."
            )
        return self.score_levels(users.unflatten(1, (-1, self.user_heads)).unbind(1), items)

    def score_levels(self, levels: Sequence[Tensor], items: Tensor) -> Tensor:
        """The same of levels (B, H_u, d). Training keeps them in tensors of their own, which saves three copies."""
        dims = [items.shape[2]] * len(levels)
        flat = [level.flatten(1) for level in levels], [items.flatten(1)]
        return utils.fe_score(*flat, self.user_heads, self.item_heads, dims, dims) + self.bias

    def choose(self, users: Tensor, levels: Levels) -> Tensor:
        if self.num_levels is None:
            return super().choose(users, levels)
        places = chosen_levels(levels, self.num_levels)
        if places == list(range(self.num_levels)):
            return users
        return users.unflatten(1, (self.num_levels, self.user_heads))[:, places].flatten(1, 2)

    def terms(self, products: Tensor) -> Tensor:
        return products[:, 0] if products.shape[1] == 1 else products.amax(1)

    def names(self, count: int, levels: Levels) -> list[str]:
        if self.num_levels is None:
            return super().names(count, levels)
        chosen = chosen_levels(levels, self.num_levels)
        heads = range(1, self.user_heads + 1)
        return [f"level {level + 1}, head {head}" for level in chosen for head in heads]


class SoftmaxOverCodes(AdditiveInteraction):
    """logit = sum_r w_r <u_r, v> + bias with w = softmax_r(<u_r, v>): the item weighs the user's vectors."""

    vector_name = "code"

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """(B, R, d) and (B, 1, d) -> (B,)"""
        products = (users @ _only(items, "encode_item").unsqueeze(2)).squeeze(2)  # (B, R)
        return (torch.softmax(products, dim=-1) * products).sum(dim=-1) + self.bias

    def terms(self, products: Tensor) -> Tensor:
        products = products[:, 0].float()  # (G, U, R, n)
        return short_softmax(products, dim=2) * products


class GatedKernels(AdditiveInteraction):
    """logit = <sum_r g_r u_r, v> + bias with g = softmax_r(<c_r, v>): how much item v asks for expert r.

    attention: of the user's side, whose kernels c_r are these; it stays a part of the model alone.
    """

    vector_name = "expert"

    def __init__(self, attention: KernelAttention):
        super().__init__()
        self._shared = (attention,)  # in a tuple, which torch does not register: weights have one name

    @property
    def kernels(self) -> Tensor:
        """(K, d)"""
        return self._shared[0].kernels

    def gate(self, items: Tensor) -> Tensor:
        """v (N, d) -> g (N, K), each row summing to 1"""
        return torch.softmax(items @ self.kernels.T, dim=1)

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """(B, K, d) and (B, 1, d) -> (B,)"""
        items = _only(items, "encode_item")
        mixture = (self.gate(items).unsqueeze(2) * users).sum(dim=1)  # (B, d)
        return (mixture * items).sum(dim=1) + self.bias

    def query(self, users: Tensor) -> Tensor:
        """(U, K, d) -> experts and kernels (U, 2 K, d)"""
        return torch.cat([users, self.kernels.expand(users.shape[0], -1, -1)], dim=1)

    def terms(self, products: Tensor) -> Tensor:
        experts, kernels = products[:, 0].float().chunk(2, dim=2)  # (G, U, K, n) each
        return short_softmax(kernels, dim=2) * experts


class CosineOfMixture(Interaction):
    """logit = cos(sum_r w_r u_r, v) + bias with w = softmax_r(<c_r, v>), or softmax_r(<u_r, v>) without kernels c_r.

    The published score of MVKE and Poly-Encoder, with this project's w, which depend on the row alone.

    attention: as of `GatedKernels`; None for a user without kernels.
    """

    def __init__(self, attention: KernelAttention | None = None):
        super().__init__()
        self._shared = (attention,)
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """(B, R, d) and (B, 1, d) -> (B,)"""
        items = _only(items, "encode_item")
        asked = users if self._shared[0] is None else self._shared[0].kernels  # (B, R, d) or (R, d)
        weights = torch.softmax((asked @ items.unsqueeze(2)).squeeze(2), dim=1)  # (B, R)
        mixture = (weights.unsqueeze(2) * users).sum(dim=1)  # (B, d)
        return (over_lengths(mixture, items) * items).sum(dim=1) + self.bias


def chosen_levels(levels: Levels, count: int) -> list[int]:
    """Places of the levels to score: "all" (or None), "last", or numbers from 1, the first layer's.

    >>> chosen_levels("last", 3), chosen_levels([1, 3], 3)
    ([2], [0, 2])
    """
    if levels is None or levels == "all":
        return list(range(count))
    if levels == "last":
        return [count - 1]
    if isinstance(levels, (list, tuple)) and levels and len(set(levels)) == len(levels):
        numbers = [level for level in levels if type(level) is int and 1 <= level <= count]
        if len(numbers) == len(levels):
            return [level - 1 for level in numbers]
    raise InputError(f"levels must be 'all', 'last' or distinct numbers from 1 to {count}. Received: {shown(levels)}.")


def _only(vectors: Tensor, encoder: str) -> Tensor:
    """(B, 1, d) -> (B, d)"""
    if vectors.ndim != 3 or vectors.shape[1] != 1:
        raise InputError(
            f"This interaction takes one vector a row from {encoder}: (rows, 1, size). Received: "
            f"{tuple(vectors.shape)}. Return vectors.unsqueeze(1), or name another interaction (model/interaction.py)."
        )
    return vectors.squeeze(1)
