"""The released models, written from the facts about the releases with bare torch and the weights of the models here."""

from __future__ import annotations

import torch
from torch import Tensor

from foundation.deepctr import DenseFeat, VarLenSparseFeat


def look_up(embedding, columns: list, x: dict) -> tuple[Tensor, Tensor]:
    """-> fields (B, F, D), sparse ones first, lists as the mean of their ids above 0; dense values (B, dense)."""
    sparse, lists, dense = [], [], []
    for column in columns:
        values = x[column.name]
        if isinstance(column, DenseFeat):
            dense.append(values.reshape(len(values), -1))
        elif isinstance(column, VarLenSparseFeat):
            there = (values > 0).float().unsqueeze(2)  # (B, T, 1)
            vectors = embedding.table(column.embedding_name)[values.long()]
            lists.append((vectors * there).sum(1) / there.sum(1).clamp(min=1))
        else:
            sparse.append(embedding.table(column.embedding_name)[values.long()])
    return torch.stack(sparse + lists, dim=1), torch.cat(dense, dim=1)


def layer(x: Tensor, module, training: bool) -> Tensor:
    """Linear map with a bias, batch norm where there is one, ReLU."""
    x = x @ module[0].weight.T + module[0].bias
    norm = module[1]
    if isinstance(norm, torch.nn.BatchNorm1d):
        mean = x.mean(0) if training else norm.running_mean
        variance = x.var(0, unbiased=False) if training else norm.running_var
        x = (x - mean) / (variance + 1e-5).sqrt() * norm.weight + norm.bias
    return x.clamp(min=0)


def dnn(x: Tensor, tower, training: bool) -> list[Tensor]:
    """-> input and output of each layer"""
    outputs = [x]
    for module in tower.layers:
        outputs.append(layer(outputs[-1], module, training))
    return outputs


def projected(x: Tensor, module, heads: int) -> Tensor:
    return (x @ module.weight.T + module.bias).reshape(len(x), heads, -1)


def maxima(users: Tensor, items: Tensor) -> Tensor:
    """sum over the user's heads of the largest product with one of the item's"""
    return torch.einsum("bpd,bqd->bpq", users, items).max(2).values.sum(1)


def cosine(u: Tensor, v: Tensor) -> Tensor:
    return (u * v).sum(1) / (u.norm(dim=1) * v.norm(dim=1) + 1e-8)


def int_tower(model, x: dict, training: bool) -> Tensor:
    inputs = {}
    for side in ("user", "item"):
        fields, dense = look_up(getattr(model, f"{side}_embedding"), getattr(model, f"{side}_columns"), x)
        weights = (fields.mean(2) @ getattr(model, f"{side}_light_se").excitation.weight.T).softmax(1)
        inputs[side] = torch.cat([(fields + weights.unsqueeze(2) * fields).flatten(1), dense], dim=1)
    users, items = dnn(inputs["user"], model.user_tower, training), dnn(inputs["item"], model.item_tower, training)
    block = model.fe_block
    item = projected(items[-1], block.item_projection, block.item_heads)
    pairs = zip(users[:-1], block.user_projections, strict=True)  # inputs of the three layers
    logits = sum(maxima(projected(hidden, each, block.user_heads), item) for hidden, each in pairs)
    return logits + model.interaction.bias


def hit_side(model, side: str, x: dict, training: bool) -> tuple[Tensor, dict[str, Tensor]]:
    """-> h of the last layer, and the mimics"""
    part, generators = getattr(model, f"{side}_side"), getattr(model, f"{side}_generators")
    fields, dense = look_up(part.embedding, getattr(model, f"{side}_columns"), x)
    static = fields[:, generators.places].detach().flatten(1)
    mimics = {}
    for kind, (first, _, second, *_) in generators.networks.items():
        hidden = (static @ first.weight.T + first.bias).clamp(min=0)
        mimics[kind] = (hidden @ second.weight.T + second.bias).clamp(min=0)
    x = torch.cat([fields.flatten(1), dense, *(mimic.detach() for mimic in mimics.values())], dim=1)
    return dnn(x, part.tower, training)[-1], mimics


def hit(model, x: dict, training: bool) -> tuple[Tensor, Tensor, Tensor, dict, dict]:
    """-> logits, both representations, both sides' mimics"""
    (user, user_mimics), (item, item_mimics) = (hit_side(model, side, x, training) for side in ("user", "item"))
    block = model.fe_block
    users = projected(user, block.user_projections[0], block.user_heads)
    items = projected(item, block.item_projection, block.item_heads)
    return maxima(users, items) + model.interaction.bias, users.flatten(1), items.flatten(1), user_mimics, item_mimics


def generation(model, x: dict, labels: Tensor, training: bool) -> Tensor:
    _, users, items, user_mimics, item_mimics = hit(model, x, training)
    total = torch.zeros(())
    for kind, counted in (("target", labels), ("non_target", 1 - labels)):
        total = total + (counted * cosine(user_mimics[kind], items.detach())).sum() / len(labels)
        total = total + (counted * cosine(item_mimics[kind], users.detach())).sum() / len(labels)
    return 0.1 * total


def side_output(model, side: str, x: dict, training: bool, *extra: Tensor) -> Tensor:
    part = getattr(model, f"{side}_side")
    fields, dense = look_up(part.embedding, getattr(model, f"{side}_columns"), x)
    return dnn(torch.cat([fields.flatten(1), dense, *extra], dim=1), part.tower, training)[-1]


def dssm(model, x: dict, training: bool) -> Tensor:
    user, item = (side_output(model, side, x, training) for side in ("user", "item"))
    return cosine(user, item) + model.interaction.bias


def dat(model, x: dict, training: bool) -> Tensor:
    own = {"user": model.user_augmented_embedding.weight[x["user_id"].long()]}
    own["item"] = model.item_augmented_embedding.weight[x["movie_id"].long()]
    user, item = (side_output(model, side, x, training, own[side]) for side in ("user", "item"))
    return cosine(user, item) + model.interaction.bias


def several_vectors(model, x: dict, pooled, training: bool) -> Tensor:
    """pooled (B, F, D) -> (B, K, D) through the user's tower: (B, K, d)"""
    fields, dense = look_up(model.user_side.embedding, model.user_columns, x)
    vectors = pooled(fields)
    count = vectors.shape[1]
    rows = torch.cat([vectors, dense.unsqueeze(1).repeat(1, count, 1)], dim=2).flatten(0, 1)
    hidden = dnn(rows, model.user_side.tower, training)[-1]
    return hidden.reshape(len(fields), count, -1) / hidden.shape[1] ** 0.5


def mixture_cosine(model, users: Tensor, item: Tensor, asked: Tensor) -> Tensor:
    """asked (B, K, d): what the item is compared with for the weights."""
    weights = torch.einsum("bkd,bd->bk", asked, item).softmax(1)
    return cosine(torch.einsum("bk,bkd->bd", weights, users), item) + model.interaction.bias


def poly_encoder(model, x: dict, training: bool) -> Tensor:
    def pooled(fields: Tensor) -> Tensor:
        return torch.einsum("bfd,kd->bkf", fields, model.codes.codes).softmax(2) @ fields

    users = several_vectors(model, x, pooled, training)
    return mixture_cosine(model, users, side_output(model, "item", x, training), users)


def mvke(model, x: dict, training: bool) -> Tensor:
    attention = model.attention

    def pooled(fields: Tensor) -> Tensor:
        queries, keys = attention.kernels @ attention.query.weight.T, fields @ attention.key.weight.T
        scores = torch.einsum("bfd,kd->bkf", keys, queries) / fields.shape[2] ** 0.5
        return scores.softmax(2) @ (fields @ attention.value.weight.T)

    users = several_vectors(model, x, pooled, training)
    kernels = attention.kernels.unsqueeze(0).repeat(len(users), 1, 1)
    return mixture_cosine(model, users, side_output(model, "item", x, training), kernels)


def cold(model, x: dict, training: bool) -> Tensor:
    fields, dense = look_up(model.embedding, model.columns, x)
    first, second = (layer.weight for layer in model.se.maps)
    weights = ((fields.mean(2) @ first.T).clamp(min=0) @ second.T).clamp(min=0)
    hidden = dnn(torch.cat([(fields + weights.unsqueeze(2) * fields).flatten(1), dense], 1), model.tower, training)[-1]
    ids, values = look_up(model.linear.ids, model.columns, x)
    linear = ids.sum((1, 2)) + (values @ model.linear.dense.weight.T).squeeze(1)
    return linear + (hidden @ model.head.weight.T).squeeze(1) + model.bias


LOGITS = {
    "int_tower": int_tower,
    "hit": lambda *arguments: hit(*arguments)[0],
    "dssm": dssm,
    "dat": dat,
    "mvke": mvke,
    "poly_encoder": poly_encoder,
    "cold": cold,
}
