"""What a command of a page does when the page is run: `python` by the warm one, installers and checkers nothing.

python page_command.py SOCKET NAME ARGUMENTS...
"""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from warm_python import ask

# They install or check, and belong to no page's program: that what they are given exists is all that is looked at.
STAND_INS = ("mypy", "pip", "pre-commit", "pytest", "ruff")

PYTHON = {"torchrun": ["-m", "torch.distributed.run"], "python": []}
NAMED = (".txt", ".py", ".toml", ".yaml")


def main(socket: str, name: str, *given: str) -> int:
    words = [*PYTHON.get(name, ["-m", name]), *given]
    if words[:2] == ["-m", "venv"]:
        return make_environment(words[-1])
    if words[0] != "-m" or words[1] not in STAND_INS:
        return ask(socket, words)
    missing = [word for word in words[2:] if (word.endswith(NAMED) or "/" in word) and not os.path.exists(word)]
    if missing:
        print(f"{' '.join(words)}: there is no {', '.join(missing)}", file=sys.stderr)
    return len(missing) and 1


def make_environment(place: str) -> int:
    """A virtual environment that changes nothing when it is activated."""
    os.makedirs(os.path.join(place, "bin"))
    open(os.path.join(place, "bin", "activate"), "w", encoding="utf-8").close()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
