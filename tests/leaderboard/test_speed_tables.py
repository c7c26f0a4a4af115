"""The tables of speed: each cell is the measurement that its row and column name, or empty."""

from __future__ import annotations

import json

import pytest
from report_helpers import typed

from foundation.errors import InputError
from leaderboard.speed import read_measurements, requests_table, serving_table, speed_tables, training_table


def request(model: str, p50_ms: float, **more) -> dict:
    row = {"model": model, "case": "features to top 100", "items": 10_000, "precision": "float32", "threads": 1}
    return row | {"users": 1, "p50_ms": p50_ms, "p99_ms": 2 * p50_ms, "requests_per_second": 5.0} | more


def cells(table: str) -> dict[str, list[str]]:
    """First cell -> the others, heads included."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in typed(table).splitlines()]
    return {line[0]: line[1:] for line in lines}


def test_training():
    speed = {"fp32": 48_000, "bf16": 79_000, "rechub": 23_000}
    row = {"model": "dssm", "batch": 2048, "rows_per_second": speed, "ratio": 2.08, "ratio_bf16": 3.41}
    assert cells(training_table([row]))["DSSM, 2048"] == ["48,000", "79,000", "-", "23,000", "2.1", "3.4"]


def test_serving_shows_one_thread_ten_thousand_candidates_in_float32():
    requests = [
        request("hit", 0.6, bytes_per_item=295),
        request("hit", 7.0, items=1000),
        request("hit", 8.0, threads=2),
        request("hit", 9.0, precision="int8"),
        request("hit", 1.0, case="known user to top 100"),
        request("deep_fm", 81.4, case="all candidates"),
    ]
    ways = {"published": 0.5, "float32": 0.087, "bfloat16": 0.14, "faiss": 9.0}
    scoring = [{"model": "hit", "way": way, "items": 10_000, "p50_ms": value} for way, value in ways.items()]
    found = cells(serving_table(requests, scoring))
    assert found["HIT"] == ["0.60 / 1.2", "0.50", "0.087", "0.14", "295"]
    assert found["DeepFM"] == ["81 / 163", "", "", "", ""]


def test_requests_by_candidates_and_threads():
    requests = [
        request("int_tower 32 heads", 52.0),
        request("int_tower 32 heads", 34.0, threads=2),
        request("int_tower 32 heads", 7.4, items=1000),
        request("int_tower 32 heads", 900.0, case="64 users", users=64, requests_per_second=71.2),
        request("dssm", 73.0, precision="int8"),
    ]
    one, two = map(cells, requests_table(requests).split("\n\n"))
    assert one["one thread"] == ["1,000", "10,000", "users/s, 64 together, 10,000"]
    assert one["IntTower (32 heads), float32"] == ["7.4 / 15", "52 / 104", "71"]
    assert one["DSSM, int8"] == ["", "73 / 146", ""]
    assert two["2 threads"] == ["10,000"]
    assert two["IntTower (32 heads), float32"] == ["34"]
    assert "DSSM, int8" not in two


def test_what_was_not_measured_has_no_table(tmp_path):
    assert set(speed_tables(read_measurements(tmp_path)).values()) == {""}  # which takes the place of what stood there
    (tmp_path / "requests.json").write_text(json.dumps([request("hit", 1.0)]))
    assert [name for name, table in speed_tables(read_measurements(tmp_path)).items() if table] == ["requests"]


@pytest.mark.parametrize("name", ["requests.json", "upserts.json"])
def test_a_damaged_file_is_named(tmp_path, name):
    (tmp_path / name).write_text("[{")
    with pytest.raises(InputError, match=f"{name} is not valid JSON"):
        speed_tables(read_measurements(tmp_path))
