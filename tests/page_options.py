"""What is wrong with a command that is not run: options that its parser refuses, files that are not there."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from page_blocks import FILES, ROOT

from experiment import tracking
from experiment.describe_data import DESCRIBE, description_parser
from experiment.options import parse_options
from foundation.errors import InputError

FOLDERS = {name.split("/")[0] for name in FILES if "/" in name} - {"data"}  # what is in data/ is git's no more
VARIABLE, SEPARATOR = re.compile(r"\w+="), re.compile(r"[;&|()]+")


class Parsed(Exception):
    """The command line was read, so the program needs to do no more."""


def commands_of(code: str) -> Iterator[list[str]]:
    """The words of each command, without variables before it.

    >>> list(commands_of("A=1 python x.py --set 'a b' \\\\\\n  -q && ls  # all"))
    [['python', 'x.py', '--set', 'a b', '-q'], ['ls']]
    """
    for line in code.replace("\\\n", " ").splitlines():
        reader = shlex.shlex(line, posix=True, punctuation_chars=True)
        reader.whitespace_split = True
        words: list[str] = []
        for word in [*reader, ";"]:
            if not SEPARATOR.fullmatch(word):
                words += [] if not words and VARIABLE.match(word) else [word]
            elif words:
                yield words
                words = []


def problem_of(words: list[str]) -> str | None:
    """None for a command that could be run."""
    missing = [word for word in words if _is_of_the_repository(word) and not (ROOT / word).exists()]
    if missing:
        return f"there is no {', '.join(missing)}"
    if words[0] == "torchrun":
        words = ["python", *(word for word in words[1:2] if not word.startswith("-")), *words[2:]]
    if words[0] not in ("python", "python3") or len(words) < 2:
        return None
    if words[1] == "-m" and words[2].startswith("benchmarks."):
        name, arguments = words[2], words[3:]
    elif words[1].endswith(".py") and "/" not in words[1]:
        name, arguments = words[1].removesuffix(".py"), words[2:]
    else:
        return None
    if re.fullmatch(r"benchmarks\.([A-Z]+)?", name):  # the name is left open
        return None
    if not (ROOT / f"{name.replace('.', '/')}.py").is_file():
        return f"there is no {name}"
    try:
        _parse(name, arguments)
    except InputError as error:
        return str(error)
    return None


def _is_of_the_repository(word: str) -> bool:
    return word.split("/")[0] in FOLDERS or re.fullmatch(r"[\w-]+\.(txt|py|toml)", word) is not None


def _parse(name: str, arguments: list[str]) -> None:
    """By the parser of the program itself."""
    if name == "train_own_data" and DESCRIBE in arguments:
        description_parser().parse_args(arguments)
        return
    if name.startswith("train_"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tracking, "require", lambda name: None)  # the package of a tracker
            parse_options(name.split("_")[1], "int_tower" if "IntTower" in name else None, arguments)
        return
    module = importlib.import_module(name)
    if "parse_args(" not in Path(module.__file__).read_text(encoding="utf-8"):
        if arguments:
            raise InputError(f"{name} takes no arguments. Received: {' '.join(arguments)}.")
        return
    original = argparse.ArgumentParser.parse_args

    def parse_args(self, args=None, namespace=None):
        original(self, args, namespace)
        raise Parsed

    def error(self, message):
        raise InputError(message)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "error", error)
        patch.setattr(argparse.ArgumentParser, "parse_args", parse_args)
        patch.setattr(sys, "argv", [name, *arguments])
        try:
            module.main()
        except Parsed:
            return
    raise AssertionError(f"{name}.main read no command line")
