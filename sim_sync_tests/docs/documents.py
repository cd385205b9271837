"""What the documents show: their code blocks and the rows of their tables."""

import re
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def code_blocks(document: Path, language: str) -> Sequence[str]:
    """Return a document's code blocks of one language."""
    return [text for found, text in _BLOCK.findall(document.read_text(encoding="utf-8")) if found == language]


def table_rows(document: Path) -> Sequence[Sequence[str]]:
    """Return the cells of every table row whose first cell is code, that one without its backticks."""
    rows = []
    for line in document.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("| `") and cells[0].endswith("`"):
            rows.append([cells[0].strip("`"), *cells[1:]])
    return rows
