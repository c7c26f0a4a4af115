"""Which of the measured serving costs stand in the tables."""

from __future__ import annotations

import json

from leaderboard.speed import Speeds, read_measurements


def request(model: str, p50_ms: float, items: int = 10_000, **more) -> dict:
    row = {"model": model, "case": "features to top 100", "items": items, "precision": "float32", "threads": 1}
    return row | {"users": 1, "p50_ms": p50_ms, "bytes_per_item": 500} | more


def scoring(model: str, p50_ms: float, way: str = "float32", items: int = 10_000) -> dict:
    return {"model": model, "way": way, "items": items, "threads": 1, "p50_ms": p50_ms}


def load(folder, requests: list[dict], scorings: list[dict]) -> Speeds:
    (folder / "requests.json").write_text(json.dumps(requests))
    (folder / "scoring.json").write_text(json.dumps(scorings))
    return Speeds.from_measurements(read_measurements(folder))


def costs(speeds: Speeds, model: str) -> tuple:
    """Bytes an item, milliseconds of scoring alone and of a request; None where not measured."""
    return tuple(held.get(model) for held in (speeds.bytes_per_item, speeds.scoring_ms, speeds.request_ms))


def test_nothing_is_said_where_nothing_was_measured(tmp_path):
    speeds = Speeds.from_measurements(read_measurements(tmp_path))
    assert costs(speeds, "hit") == (None, None, None)


def test_only_whole_requests_of_one_user_in_float32_count(tmp_path):
    others = [
        request("hit", 9.0, case="1,000 candidates"),
        request("hit", 9.0, precision="int8"),
        request("hit", 9.0, users=64),
    ]
    speeds = load(tmp_path, [*others, request("hit", 0.5)], [scoring("hit", 9.0, "published"), scoring("hit", 0.1)])
    assert costs(speeds, "hit") == (500, 0.1, 0.5)


def test_all_columns_are_of_one_setting_which_is_named(tmp_path):
    requests = [request("hit", 0.1, 1000), request("hit", 0.5), request("dssm", 0.4), request("dat", 7.0, 1000)]
    speeds = load(tmp_path, requests, [scoring("hit", 0.2)])
    assert costs(speeds, "hit") == (500, 0.2, 0.5)
    assert costs(speeds, "dat") == (None, None, None)
    assert speeds.setting == "10,000 candidates, one thread"


def test_a_ranking_model_has_no_index(tmp_path):
    row = request("deep_fm", 91.4, case="all candidates")
    del row["bytes_per_item"]
    assert costs(load(tmp_path, [row], []), "deep_fm") == (None, None, 91.4)
