"""Which versions of the code were proven to train equal numbers, so that results of the one stand under the other.

Where the fingerprint of the code (`leaderboard.code_fingerprint`) changes, `benchmarks.equality` can prove that both
versions train the same. `results/equivalent_sources.json` holds such proofs; several make a chain. This adds one:

    python -m benchmarks.equality BEFORE --data_path data/ml-1m --json proof.json
    python -m leaderboard.provenance BEFORE proof.json

BEFORE: a checkout of the version before. The version after is this checkout, `--after` names another one. A version
goes by its fingerprint, and by the sha256 of its files' bytes, which older results hold. Where a protocol means
something else in the version after, `--protocols` names those for which the proof is given.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from experiment.arguments import Parser
from experiment.record import ROOT, code_revision
from experiment.script import run
from foundation.atomic import write_atomic
from foundation.errors import InputError
from leaderboard.ablations.variants import entrant_jobs
from leaderboard.code_fingerprint import bytes_sha256, sources_sha256
from leaderboard.data_sets import MOVIELENS
from leaderboard.results import read_if_there, read_json
from preprocessing.protocol import PROTOCOLS

LINKS, PROOFS = "equivalent_sources.json", "equality"  # in `results/`: the record, and the folder of the proofs


def same_sources(links: list[dict], protocol: str | None = None) -> dict[str, frozenset[str]]:
    """Fingerprint -> all that train the same, itself among them, by the proofs in `links` and chains of them.

    protocol: under which; None: under any that a proof is about.

    >>> links = [{"before": {"names": ["a", "b"]}, "after": {"names": ["c"]}}]
    >>> links += [{"before": {"names": ["c"]}, "after": {"names": ["d"]}}]
    >>> sorted(same_sources(links)["d"])
    ['a', 'b', 'c', 'd']
    """
    groups: list[set[str]] = []
    for link in links:
        if protocol not in (None, *link.get("protocols", PROTOCOLS)):
            continue
        joined = {*link["before"]["names"], *link["after"]["names"]}
        touching = [group for group in groups if group & joined]
        groups = [group for group in groups if not group & joined] + [joined.union(*touching)]
    return {name: frozenset(group) for group in groups for name in group}


def read_links(results: Path) -> list[dict]:
    """The proofs that a folder of results holds. Raises `InputError` for a damaged file."""
    return read_if_there(results / LINKS) or []


def standing(results: Iterable[tuple[str, str]], links: list[dict], checkout: Path = ROOT) -> str:
    """How many results, given by protocol and fingerprint of their code, stand under the code of a checkout."""
    now, results = sources_sha256(checkout), list(results)
    current = {protocol: same_sources(links, protocol).get(now, {now}) for protocol in PROTOCOLS}
    count = sum(fingerprint in current[protocol] for protocol, fingerprint in results)
    return f"{count} of {len(results)} results are of this code ({now[:12]}), or of code proven to train the same."


def add_link(
    results: Path,
    before: Path,
    after: Path,
    proof: Path,
    required: Iterable[str] = (),
    protocols: Iterable[str] = tuple(PROTOCOLS),
) -> dict:
    """Records that two checkouts train the same under these protocols, with the proof beside it. Returns the entry.

    proof: the JSON of `benchmarks.equality`.  required: names of the cases that it has to hold.
    Raises `InputError` for a proof in which a case differs or is not there.
    """
    cases = read_json(proof)
    differing = [name for name, case in cases.items() if case.get("different") != []]
    missing = [name for name in required if name not in cases]
    if differing or missing or not cases:
        raise InputError(
            f"{proof} does not prove equality. Cases that differ: {', '.join(differing) or 'none'}; "
            f"cases that are missing: {', '.join(missing) or 'none'}; {len(cases)} in all."
        )
    sides = [_version(checkout) for checkout in (before, after)]
    copy = results / PROOFS / f"{sides[0]['names'][0][:12]}-{sides[1]['names'][0][:12]}.json"
    link = {"before": sides[0], "after": sides[1], "cases": len(cases), "proof": f"{PROOFS}/{copy.name}"}
    link["protocols"] = list(protocols)
    link["recorded"] = datetime.now(UTC).date().isoformat()
    copy.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(copy, proof.read_bytes())
    others = [held for held in read_links(results) if held["proof"] != link["proof"]]
    write_atomic(results / LINKS, json.dumps([*others, link], indent=1) + "\n")
    return link


def _version(checkout: Path) -> dict:
    """Revision and both fingerprints of a checkout, the one that ignores formatting first."""
    revision = code_revision(checkout)["revision"] or "unknown"
    return {"revision": revision, "names": [sources_sha256(checkout), bytes_sha256(checkout)]}


def common_models(*checkouts: Path) -> list[str]:
    """The models that all checkouts have, of which equality can be shown, in the order of the first one's table."""
    tables = [_models_of(checkout) for checkout in checkouts]
    return [name for name in tables[0] if all(name in table for table in tables)]


def _models_of(checkout: Path) -> list[str]:
    command = [sys.executable, "-c", "from model import MODELS; print(*MODELS)"]
    done = subprocess.run(command, cwd=checkout, check=True, stdout=subprocess.PIPE, text=True, encoding="utf-8")
    return done.stdout.split()


def main() -> None:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("before", type=Path, metavar="BEFORE")
    parser.add_argument("proof", type=Path, metavar="PROOF")
    parser.add_argument("--after", type=Path, default=ROOT, metavar="AFTER", help="default: this checkout")
    parser.add_argument("--results", type=Path, default=ROOT / "results", metavar="DIR")
    parser.add_argument("--protocols", nargs="+", choices=PROTOCOLS, default=list(PROTOCOLS), metavar="NAME")
    options = parser.parse_args()
    models = common_models(options.before, options.after)
    required = [job.title for job in entrant_jobs(MOVIELENS, models, options.protocols, 1)]
    link = add_link(options.results, options.before, options.after, options.proof, required, options.protocols)
    print(f"Recorded in {options.results / LINKS}: {json.dumps(link, indent=1)}")


if __name__ == "__main__":
    run(main)
