"""Every fenced block of a page is run here, or says in the line before it why it is not, or shows output."""

from __future__ import annotations

import ast
import re
import shutil
import tempfile
import textwrap
from pathlib import Path

import pytest
from page_blocks import PAGES, RUN, SHOWN, Block, blocks_of, read
from page_checkout import make_checkout, make_commands, run_page, warm_python
from page_options import commands_of, problem_of

BLOCKS = {page: blocks_of(read(page)) for page in PAGES}
PROGRAMS = [page for page in PAGES if any(block.runs for block in BLOCKS[page])]
# Pages that go on where another ends.
AFTER = {"docs/onnx.md": "docs/own_data.md"}
# What a page takes as given.
GIVEN = {
    "docs/own_data.md": """
import warnings
from preprocessing.leaks import LeakWarning
warnings.simplefilter("error", LeakWarning)
""",
    "docs/deepctr_torch.md": "from array_helpers import COLUMNS as columns, arrays\nx, y = arrays()",
    "docs/large_tables.md": "from array_helpers import int_tower\nmodel = int_tower()",
}
# What is so after a page's program.
CHECKS = {
    "docs/own_data.md": "assert model.evaluate(data.test) == same.evaluate(data.test)",
}
INLINE = re.compile(r"`(python [^`<]*)`")  # without <placeholders>


@pytest.fixture(scope="session")
def commands(tmp_path_factory):
    place = tmp_path_factory.mktemp("commands") / "bin"
    with tempfile.TemporaryDirectory() as short:  # the name of a socket has at most 107 letters
        socket = Path(short) / "python"
        make_commands(place, socket)
        with warm_python(socket):
            yield place


@pytest.fixture
def run(commands, tmp_path):
    """Runs the blocks of a page in a fresh checkout. -> the process, which has ended well or not"""
    checkout = tmp_path / "checkout"
    make_checkout(checkout)
    yield lambda page, blocks: run_page(page, blocks, checkout, commands)
    shutil.rmtree(checkout)


def unseen(block: Block, printed: str) -> list[str]:
    """Parts of shown output that were not printed, as one part between two lines of `...`."""
    parts = re.split(r"^\.\.\.\n", block.code, flags=re.MULTILINE)
    return [part for part in parts if f"\n{part}" not in f"\n{printed}"]


def outputs(blocks: list[Block]) -> list[Block]:
    """What Python blocks before them print."""
    code = [block for block in blocks if block.language in RUN]
    before = {block: [one for one in code if one.line < block.line][-1:] for block in blocks}
    return [
        block
        for block in blocks
        if block.language == "text" and block.not_run is None and [one.language for one in before[block]] == ["python"]
    ]


def python_problem(code: str) -> str | None:
    """Of code that is not run: of statements, or of entries of a table."""
    code = textwrap.dedent(code)
    try:
        ast.parse(code)
    except SyntaxError as error:
        try:
            ast.parse(f"{{{code}}}")
        except SyntaxError:
            return str(error)
    return None


def problems(block: Block) -> list[str]:
    """With a block that is not run."""
    if block.language == "python":
        found = [python_problem(block.code)]
    elif block.language == "shell":
        found = [problem_of(words) for words in commands_of(block.code)]
    else:
        found = []
    return [f"line {block.line}: {problem}" for problem in found if problem is not None]


@pytest.mark.parametrize("page", [page for page in PAGES if BLOCKS[page]])
class TestBlocks:
    def test_have_a_language(self, page):
        for block in BLOCKS[page]:
            assert block.language in (*RUN, *SHOWN), f"{page}:{block.line}: of {RUN} which run, or of {SHOWN}"

    def test_that_are_not_run_could_be(self, page):
        assert [problem for block in BLOCKS[page] if not block.runs for problem in problems(block)] == []


@pytest.mark.parametrize("page", PROGRAMS)
def test_the_page_runs(page, run):
    own = BLOCKS[page]
    earlier = [block for block in BLOCKS.get(AFTER.get(page, ""), []) if block.runs]
    given = [Block("python", 0, GIVEN[page])] if page in GIVEN else []
    checked = [Block("python", 0, CHECKS[page])] if page in CHECKS else []
    done = run(page, [*earlier, *given, *(block for block in own if block.runs), *checked])
    assert done.returncode == 0, done.stderr[-4000:]
    assert [part for block in outputs(own) for part in unseen(block, done.stdout)] == []


@pytest.mark.parametrize("page", [page for page in PAGES if INLINE.search(read(page))])
def test_commands_within_sentences_are_valid(page):
    """They may leave out what is required: `python -m benchmarks.load_time` is also the name of a program."""
    for code in INLINE.findall(read(page)):
        for words in commands_of(code.replace("\n", " ")):
            problem = problem_of(words)
            assert problem is None or "arguments are required" in problem, code


def test_pages_that_are_named_here_have_programs():
    assert {*AFTER, *AFTER.values(), *GIVEN, *CHECKS} <= {*PROGRAMS}
