"""The audit of the leak: what its probes read, and the file that collects it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import random_raw

from experiment.script import Interrupted
from foundation.errors import InputError
from leaderboard import audit as audit_module
from leaderboard.audit import _auc, audit, explained_table, probes_table, write_audit
from leaderboard.json_entries import read_entries
from preprocessing.dataset import Dataset
from preprocessing.membership import membership
from preprocessing.protocol import PROTOCOLS

CODE = {"revision": "r", "sources_sha256": "s"}


class TestAudit:
    @pytest.fixture(scope="class")
    @staticmethod
    def audits():
        raw = random_raw(rows=600, users=20, items=60)
        first = np.unique(raw.user.astype(np.int64) * 60 + raw.item, return_index=True)[1]
        raw = raw.take(np.sort(first))  # nobody rates a movie twice
        return raw, {protocol: audit(raw, protocol, 1) for protocol in PROTOCOLS}

    def test_membership_in_the_history_is_the_label_where_the_protocol_leaks(self, audits):
        assert audits[1]["published"]["membership"] == 1.0

    @pytest.mark.parametrize("protocol", ["holdout", "temporal"])
    def test_membership_says_nothing_where_it_does_not(self, audits, protocol):
        assert audits[1][protocol]["membership"] == 0.5

    def test_membership_by_a_plain_loop(self, audits):
        split = Dataset.build(audits[0], "published", 1).test
        batch = split.batch(torch.arange(len(split)), ["movie_id", "liked_movies"])
        history, items = batch["liked_movies"], batch["movie_id"].tolist()
        expected = [
            item in history.values[start:end].tolist()
            for item, start, end in zip(items, history.offsets[:-1], history.offsets[1:], strict=True)
        ]
        assert membership(split).tolist() == expected
        assert 0 < sum(expected) < len(expected)

    def test_probes_learn_from_training_rows_alone(self):
        """Here they learn the opposite of what the test rows say."""
        splits = SimpleNamespace(train=SimpleNamespace(labels=[1, 0]), test=SimpleNamespace(labels=[0, 1]))
        assert _auc(splits, np.array([[0.0], [1.0]]), np.array([[0.0], [1.0]])) == 0.0

    @pytest.mark.parametrize(
        ("without", "probes"),
        [
            (["history"], ["two_statistics"]),
            (["item_statistic", "history"], ["two_statistics"]),
            (["user_statistic", "item_statistic"], ["membership"]),
            (["user_statistic", "item_statistic", "history"], []),
        ],
        ids=["no history", "one statistic", "history alone", "nothing"],
    )
    def test_data_have_the_probes_that_they_have_features_for(self, audits, without, probes):
        raw = audits[0]
        part = replace(raw, schema=replace(raw.schema, **dict.fromkeys(without)))
        found = audit(part, "holdout", 1)
        assert list(found) == probes
        if "item_statistic" not in without or probes == ["membership"]:
            assert found == {probe: audits[1]["holdout"][probe] for probe in probes}

    def test_tables_of_data_without_a_probe_have_no_column_for_it(self):
        entries = [{"protocol": "holdout", "seed": 1, "test_auc": {"membership": 0.5}}]
        runs = pd.DataFrame({"model": ["hit"], "protocol": ["holdout"], "seed": [1], "auc": [0.9]})
        assert probes_table(entries, runs).splitlines()[0] == "| protocol | the bit | HIT |"
        assert explained_table(entries, runs) == ""

    def test_leaking_statistics_reach_more_than_honest_ones(self, audits):
        assert audits[1]["published"]["two_statistics"] > audits[1]["holdout"]["two_statistics"]


class TestFile:
    @pytest.fixture
    @staticmethod
    def file(tmp_path, monkeypatch):
        """Where audits go, and a stand-in for the audit that counts: its AUCs are 0.01, 0.02, ..."""
        made: list[dict] = []

        def counted(raw, protocol: str, seed: int) -> dict:
            made.append({"two_statistics": 0.01 * (len(made) + 1)})
            return made[-1]

        monkeypatch.setattr(audit_module, "audit", counted)
        return tmp_path / "toy" / "audit.json"

    def keys(self, path) -> list[tuple[str, int]]:
        return [(entry["protocol"], entry["seed"]) for entry in read_entries(path)]

    def test_has_an_entry_for_each_protocol_and_seed(self, tmp_path):
        raw = random_raw(rows=600, users=20, items=60)
        path = tmp_path / "audit.json"
        entries = write_audit(raw, ["holdout", "temporal"], range(1, 3), path, CODE, quiet=True)
        assert entries == read_entries(path)
        probes = [audit(raw, protocol, seed) for protocol in ("holdout", "temporal") for seed in (1, 2)]
        assert [entry["test_auc"] for entry in entries] == probes
        assert probes[0] != probes[1]

    def test_an_entry_says_what_it_is_of_and_how_to_repeat_it(self, file):
        (entry,) = write_audit(random_raw(), ["holdout"], [1024], file, CODE, quiet=True)
        assert (entry["data_sha256"], entry["code"]) == (random_raw().fingerprint, CODE)
        assert entry["command"] == "python benchmark.py --audit --protocols holdout --seeds 2"  # of which it is one

    def test_about_other_data_is_refused_before_anything_is_measured(self, file):
        write_audit(random_raw(), ["holdout"], [1], file, CODE, quiet=True)
        before = file.read_bytes()
        with pytest.raises(InputError, match=f"{file} is about other data"):
            write_audit(replace(random_raw(), fingerprint="f" * 64), ["holdout"], [2], file, CODE, quiet=True)
        assert file.read_bytes() == before

    def test_a_file_in_the_place_of_its_folder_is_said(self, file):
        file.parent.write_text("in the way")
        with pytest.raises(InputError, match=r"a file is in its way\. Give another --results"):
            write_audit(random_raw(), ["holdout"], [1], file, CODE, quiet=True)

    def test_what_another_process_filed_meanwhile_stays(self, file, monkeypatch):
        counted = audit_module.audit

        def slow(raw, protocol: str, seed: int) -> dict:
            if seed == 1:
                write_audit(raw, ["temporal"], [5], file, CODE, quiet=True)
            return counted(raw, protocol, seed)

        monkeypatch.setattr(audit_module, "audit", slow)
        write_audit(random_raw(), ["holdout"], [1, 2], file, CODE, quiet=True)
        assert self.keys(file) == [("holdout", 1), ("holdout", 2), ("temporal", 5)]

    def test_keeps_the_entries_of_other_protocols_and_seeds(self, file):
        raw = random_raw()
        write_audit(raw, list(PROTOCOLS), [1, 2], file, CODE, quiet=True)
        before = dict(zip(self.keys(file), read_entries(file), strict=True))
        (new,) = write_audit(raw, ["holdout"], [2], file, CODE, quiet=True)
        after = dict(zip(self.keys(file), read_entries(file), strict=True))
        assert after == before | {("holdout", 2): new}
        assert new != before["holdout", 2]

    def test_is_in_the_order_of_the_protocols_then_of_the_seeds_whatever_ran_first(self, file):
        raw = random_raw()
        for protocols, seeds in ((["temporal"], [9]), (["holdout", "published"], [10, 2]), (["temporal"], [1])):
            write_audit(raw, protocols, seeds, file, CODE, quiet=True)
        expected = [
            ("published", 2),
            ("published", 10),
            ("holdout", 2),
            ("holdout", 10),
            ("temporal", 1),
            ("temporal", 9),
        ]
        assert self.keys(file) == expected

    def test_has_what_was_measured_before_ctrl_c(self, file, monkeypatch):
        counted = audit_module.audit

        def interrupted(raw, protocol: str, seed: int) -> dict:
            if seed == 3:
                raise KeyboardInterrupt
            return counted(raw, protocol, seed)

        monkeypatch.setattr(audit_module, "audit", interrupted)
        with pytest.raises(Interrupted, match=rf"^Interrupted. 2 of 8 audits are in {file}\.$"):
            write_audit(random_raw(), ["holdout", "temporal"], [1, 2, 3, 4], file, CODE, quiet=True)
        assert self.keys(file) == [("holdout", 1), ("holdout", 2)]

    @pytest.mark.parametrize(("content", "problem"), [("[{", "is not valid JSON"), ("{}", "holds no JSON list")])
    def test_that_is_damaged_is_named_and_left_alone(self, file, content, problem):
        file.parent.mkdir()
        file.write_text(content)
        for read in (
            lambda: read_entries(file),
            lambda: write_audit(random_raw(), ["holdout"], [1], file, CODE, quiet=True),
        ):
            with pytest.raises(InputError, match=f"{file} {problem}"):
                read()
        assert file.read_text() == content
