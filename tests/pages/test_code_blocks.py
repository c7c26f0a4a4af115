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
AFTER = {"docs/onnx.md": "docs/frames.md"}
# What a page takes as given.
GIVEN = {
    "docs/frames.md": """
import warnings
from preprocessing.leak_probe import LeakWarning
warnings.simplefilter("error", LeakWarning)
""",
    "docs/deepctr_torch.md": "from array_helpers import COLUMNS as columns, arrays\nx, y = arrays()",
    "docs/protocols.md": """
from model import build_model
from preprocessing.dataset import Dataset
from preprocessing.synthetic import synthetic_movielens
data = Dataset.build(synthetic_movielens().first(5000), "holdout", 0)
model = build_model("dssm", data.feature_columns(8))
""",
    "docs/large_tables.md": "from array_helpers import int_tower\nmodel = int_tower()",
}
# What is so after a page's program.
CHECKS = {
    "docs/frames.md": "assert model.evaluate(data.test) == same.evaluate(data.test)",
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


class TestWhatIsFound:
    """In pages and commands that are wrong."""

    @pytest.mark.parametrize(
        "text",
        ["```python\nx = 1", "<!-- not run: it is long -->\n\n```shell\nls\n```", "<!-- not run: it is long -->"],
        ids=["no end", "a line between mark and block", "no block"],
    )
    def test_a_page_that_cannot_be_read(self, text):
        with pytest.raises(ValueError, match=r"line 1: the (block has no end|mark stands before no block)"):
            blocks_of(text)

    @pytest.mark.parametrize(
        ("command", "said"),
        [
            ("python train_movielens_whole_models.py --model_name dssm --epochs 3", "--epochs"),
            ("A=1 torchrun --nproc_per_node=2 train_movielens_whole_models.py --model_name dsm", "'dsm'"),
            ("ls && python train_movielens.py", "there is no train_movielens.py"),
            ("pip install -r requirement.txt", "there is no requirement.txt"),
            ("python -m pytest tests/models", "there is no tests/models"),
            ("python -m benchmarks.latencies", "there is no benchmarks.latencies"),
            ("python -m benchmarks.latency scorings", "scorings"),
            ("python -m benchmarks.cuda_check --all", "takes no arguments"),
            ("python prerank.py built RUN", "built"),
        ],
    )
    def test_a_command_that_would_fail(self, command, said):
        (problem,) = filter(None, map(problem_of, commands_of(command)))
        assert said in problem

    def test_output_that_was_not_printed(self):
        block = Block("text", 9, "a\n...\nc\n")
        assert outputs([Block("python", 1, ""), block]) == [block]
        assert outputs([Block("python", 1, ""), Block("shell", 5, ""), block]) == []
        assert unseen(block, "a\nb\nc\n") == []
        assert unseen(block, "a\nb\ncc\n") == ["c\n"]

    @pytest.mark.parametrize(
        ("block", "said"),
        [
            (Block("python", 7, "x = 1\nx = y\n"), 'File "README.md", line 9'),
            (Block("shell", 7, "ls\npython no_such.py | cat\n"), "README.md:9: exit status"),
            (Block("shell", 7, "pip install -r no.txt\n"), "there is no no.txt"),
            (Block("shell", 7, "python train_amazon_whole_models.py --model_name lr\n"), "README.md:8: exit status 2"),
            (Block("python", 7, "", file="model/lr.py"), "model/lr.py exists already"),
        ],
        ids=["python", "shell", "a file", "a download", "a file that is there"],
    )
    def test_a_block_that_fails(self, block, said, run):
        done = run("README.md", [block])
        assert done.returncode != 0
        assert said in done.stderr
