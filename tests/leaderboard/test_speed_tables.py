"""The tables of speed: each cell is the measurement that its row and column name, or empty."""

from __future__ import annotations

import json

import pytest

from foundation.errors import InputError
from leaderboard.report.speed_tables import (
    UPDATES,
    concurrent_updates,
    large_index,
    requests_table,
    serving_table,
    speed_tables,
    training_table,
)


def request(model: str, p50_ms: float, **more) -> dict:
    row = {"model": model, "case": "features to top 100", "items": 10_000, "precision": "float32", "threads": 1}
    return row | {"users": 1, "p50_ms": p50_ms, "p99_ms": 2 * p50_ms, "requests_per_second": 5.0} | more


def cells(table: str) -> dict[str, list[str]]:
    """First cell -> the others, heads included."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
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
    found = cells(requests_table(requests))
    heads = ["1,000", "1,000, 2 threads", "10,000", "10,000, 2 threads", "users/s, 64 together, 10,000"]
    assert found["model, precision"] == heads
    assert found["IntTower (32 heads), float32"] == ["7.4 / 15", "", "52 / 104", "34", "71"]
    assert found["DSSM, int8"] == ["", "", "73 / 146", "", ""]


def test_what_was_not_measured_has_no_table(tmp_path):
    assert set(speed_tables(tmp_path).values()) == {""}  # which takes the place of what stood there
    (tmp_path / "requests.json").write_text(json.dumps([request("hit", 1.0)]))
    assert [name for name, table in speed_tables(tmp_path).items() if table] == ["requests"]


@pytest.mark.parametrize("name", ["requests.json", "upserts.json"])
def test_a_damaged_file_is_named(tmp_path, name):
    (tmp_path / name).write_text("[{")
    with pytest.raises(InputError, match=f"{name} is not valid JSON"):
        speed_tables(tmp_path)


ROW = {"model": "hit", "items": 1_000_000, "build_s": 8.1, "open_ms": 0.52, "reader_index_MiB": 5.2, "file_MiB": 274.9}
FOUND = {"seconds": 60.0, "readers": 4, "upserts": 3072, "answers_a": 20, "answers_b": 5, "errors": []}


class TestLargeIndex:
    def test_a_million_items(self):
        (sentence,) = large_index([ROW])
        assert sentence.startswith("1,000,000 items of HIT: built in 8 s, opened in 0.52 ms; ")
        assert "holds 5 of the file's 275 MiB" in sentence

    def test_answers_are_those_of_both_states(self):
        (sentence,) = concurrent_updates(FOUND | {"answers_of_neither": 0})
        assert (
            "4 readers beside a writer of 3,072 updates in 60 s: 25 answers, each of the old state or of the"
            in sentence
        )

    def test_torn_answers_and_failed_readers_are_said(self):
        found = FOUND | {"answers_of_neither": 7, "errors": ["OSError()"]}
        (sentence,) = concurrent_updates(found)
        assert "32 answers, 7 of them of neither state; 1 of the readers failed" in sentence

    def test_both_stand_in_the_readme_as_far_as_they_are_there(self, tmp_path):
        (tmp_path / UPDATES).write_text(json.dumps(FOUND | {"answers_of_neither": 0}))
        assert speed_tables(tmp_path)["large_index"].startswith("- 4 readers")
