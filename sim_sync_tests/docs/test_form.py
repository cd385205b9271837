"""Prose has one sentence a line, so that a change of one shows as one; a row of a table can be read as text."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sim_sync_tests.docs.documents import PROJECT

_LONGEST_ROW = 200
#: Where a sentence ends and another one begins, outside of code.
_BETWEEN_SENTENCES = re.compile(r"[a-z)][.!?] [A-Z]")
_CODE = re.compile(r"`[^`]*`")


def documents() -> list[Path]:
    """Return the documents that people write; the commands are generated, decisions and the changelog are history."""
    return [
        *(PROJECT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
        *(path for path in sorted((PROJECT / "docs").glob("*.md")) if path.name != "commands.md"),
    ]


def prose(document: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a document that are neither code nor a table, by their number."""
    is_code = False
    for number, line in enumerate(document.read_text(encoding="utf-8").splitlines(), start=1):
        is_fence = line.lstrip().startswith("```")
        is_code ^= is_fence
        if not is_code and not is_fence and not line.lstrip().startswith("|"):
            yield number, line


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.name)
def test_no_row_of_a_table_is_too_long(document: Path) -> None:
    rows = [line for line in document.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    assert [row for row in rows if len(row) > _LONGEST_ROW] == []


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.name)
def test_a_line_of_prose_has_one_sentence(document: Path) -> None:
    lines = [(number, re.sub(r"\([^()]*\)", "", _CODE.sub("code", line))) for number, line in prose(document)]
    assert [number for number, line in lines if _BETWEEN_SENTENCES.search(line)] == []


def test_each_decision_and_each_migration_has_a_number_of_its_own() -> None:
    for folder in (PROJECT / "docs/decisions", PROJECT / "sim_sync/warehouse/migrations/versions"):
        numbers = sorted(path.name[:4] for path in folder.iterdir() if path.name[:4].isdigit())
        assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)], folder.name
