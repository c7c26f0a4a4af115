"""Runs the blocks of a page, read from standard input, in order: shell by shell, all Python in one namespace.

Standard output has what the Python blocks print, standard error all else.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

# What fails is told by its line in the page: `bash -c` counts from 0.
SHELL = "trap 'echo \"{page}:$((LINENO + {line})): exit status $? of: $BASH_COMMAND\" >&2' ERR\n{code}"


def run_python(page: str, line: int, code: str, scope: dict) -> None:
    exec(compile("\n" * line + code, page, "exec"), scope)  # tracebacks have the page's lines


def run_shell(page: str, line: int, code: str) -> None:
    sys.stdout.flush()
    command = ["bash", "-Eeuo", "pipefail", "-c", SHELL.format(page=page, line=line - 1, code=code)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    if done.returncode:
        sys.exit(done.returncode)


def put(path: Path, code: str, after: str | None) -> None:
    """Writes the file, or puts the code into it behind the line `after`."""
    if after is not None:
        before, found, rest = path.read_text(encoding="utf-8").partition(f"{after}\n")
        if not found:
            sys.exit(f"{path} has no line {after!r}")
        code = before + found + code + rest
    elif path.exists():
        sys.exit(f"{path} exists already")
    path.write_text(code, encoding="utf-8")


def main() -> None:
    page, blocks = json.load(sys.stdin)
    scope: dict = {"__name__": "__main__"}
    for block in blocks:
        if block["file"] is not None:
            put(Path(block["file"]), block["code"], block["after"])
        elif block["language"] == "python":
            run_python(page, block["line"], block["code"], scope)
        else:
            run_shell(page, block["line"], block["code"])


if __name__ == "__main__":
    main()
