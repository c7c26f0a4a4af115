"""Label statistics and histories as encoded features: of the rows of a log, and of users and items for a request."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from foundation.features import Lists
from preprocessing.encoder import Encoder
from preprocessing.encoding import MinMaxScaler, scaled
from preprocessing.feature_table import FeatureTable
from preprocessing.label_statistics import Histories, entity_means, liked_items, mean_label, user_histories
from preprocessing.raw import RawData
from preprocessing.split_protocol import SplitProtocol


def label_features(raw: RawData, protocol: SplitProtocol, items: FeatureTable, encoder: Encoder) -> FeatureTable:
    """What each row sees. Mean labels lie in 0..1; the published protocol alone scales them, as the releases do: a
    scaler carries other rows' labels."""
    schema, table = raw.schema, FeatureTable()
    for name, entity in ((schema.user_statistic, raw.user), (schema.item_statistic, raw.item)):
        if name:
            means = mean_label(protocol.views, entity, raw, protocol.smoothing)
            table.values[name] = torch.from_numpy(encoder.statistic(name, means, protocol.scaled_by))
    if schema.history:
        table.lists[schema.history] = _encoded(liked_items(protocol.views, raw), items.values[schema.item_id])
    return table


def request_tables(
    raw: RawData,
    protocol: SplitProtocol,
    users: FeatureTable,
    items: FeatureTable,
    scalers: Mapping[str, MinMaxScaler],
) -> tuple[FeatureTable, FeatureTable]:
    """Users and items with the statistics and histories that a request finds: over all training rows.

    They are what a test row sees under `holdout` and under `temporal` with frozen statistics. As of its time a test row
    sees later rows, too, and the published protocol gives its test rows statistics of the test labels. A request has
    what was there when the index was built, so there, too, the training rows are taken.

    scalers: of the encoding of the data, by feature.
    """
    schema, train = raw.schema, protocol.splits["train"]
    users = FeatureTable(dict(users.values), dict(users.lists))
    items = FeatureTable(dict(items.values), dict(items.lists))
    sides = ((schema.user_statistic, users, raw.user, raw.users), (schema.item_statistic, items, raw.item, raw.items))
    for name, table, entity, frame in sides:
        if name:
            means = entity_means(entity[train], raw.label[train], len(frame), protocol.smoothing)
            table.values[name] = torch.from_numpy(scaled(name, means, scalers))
    if schema.history:
        users.lists[schema.history] = _encoded(user_histories(train, raw), items.values[schema.item_id])
    return users, items


def _encoded(histories: Histories, item_ids: torch.Tensor) -> Lists:
    """item_ids: (items,) the encoded id of each row of the items."""
    values = item_ids[torch.from_numpy(histories.items).long()]
    return Lists(values, torch.from_numpy(histories.start), torch.from_numpy(histories.end))
