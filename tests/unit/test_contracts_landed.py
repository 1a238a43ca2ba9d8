"""Contracts that have landed are not broken: what `make lint` asks of `buf` refuses what would break a speaker."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUF = Path(sys.executable).with_name("buf")
ORDER = Path("protos/touchstone/ingest/v1/order.proto")


def broken(tree: Path) -> str:
    """What `make lint` says of the contracts in a tree; empty when nothing is broken."""
    recipe = next(line for line in (ROOT / "Makefile").read_text().splitlines() if "buf breaking" in line)
    done = subprocess.run(
        [str(BUF), *recipe.split()[1:]], cwd=tree, capture_output=True, text=True, check=False, timeout=60
    )
    assert bool(done.returncode) == bool(done.stdout), done.stderr
    return done.stdout


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The contracts and what `buf` needs to read them, without the repository around and without its history."""
    shutil.copy(ROOT / "buf.yaml", tmp_path)
    shutil.copytree(ROOT / "protos", tmp_path / "protos", ignore=shutil.ignore_patterns("gen"))
    shutil.copytree(ROOT / "build" / "proto-deps", tmp_path / "build" / "proto-deps")
    return tmp_path


def changed(tree: Path, contract: Path, was: str, becomes: str) -> str:
    path = tree / contract
    text = path.read_text()
    assert text.count(was) == 1, (was, text.count(was))
    path.write_text(text.replace(was, becomes))
    return broken(tree)


def test_the_contracts_as_they_are_break_nobody(tree: Path) -> None:
    assert broken(tree) == ""


def test_a_new_field_breaks_nobody(tree: Path) -> None:
    assert changed(tree, ORDER, "  string content_hash = 18;", "  string content_hash = 18;\n  string a = 4711;") == ""


@pytest.mark.parametrize(
    ("was", "becomes", "said"),
    [
        ("  string display_number = 17;", "", 'field "17" with name "display_number" on message "Order" was deleted'),
        ("  string display_number = 17;", "  reserved 17;", 'field "17" with name "display_number"'),
        ("  string display_number = 17;", "  string display_number = 4711;", 'field "17"'),
        ("  string display_number = 17;", "  bytes display_number = 17;", "changed type"),
        ("  string display_number = 17;", "  string number = 17;", "changed name"),
        ("    DELETED = 4;", "", 'enum value "4"'),
    ],
    ids=["removed", "reserved", "renumbered", "of another type", "renamed", "a word removed"],
)
def test_what_a_speaker_of_the_landed_contracts_relies_on_must_stay(
    tree: Path, was: str, becomes: str, said: str
) -> None:
    assert said in changed(tree, ORDER, was, becomes)


def test_a_message_may_move_within_its_package(tree: Path) -> None:
    path = tree / ORDER
    text = path.read_text()
    start = text.index("// Money given back on an order.")
    end = text.index("// The part of a refund that concerns one line.")
    (tree / ORDER.with_name("refund.proto")).write_text(
        text.partition("// An order as")[0].replace('import "google/protobuf/timestamp.proto";\n', "")
        + 'import "google/protobuf/timestamp.proto";\nimport "touchstone/ingest/v1/refund_line.proto";\n'
        + text[start:end]
    )
    (tree / ORDER.with_name("refund_line.proto")).write_text(text.partition("// An order as")[0] + text[end:])
    path.write_text(
        text[:start].replace(
            'import "google/protobuf/timestamp.proto";\n',
            'import "google/protobuf/timestamp.proto";\nimport "touchstone/ingest/v1/refund.proto";\n',
        )
    )
    assert broken(tree) == ""
