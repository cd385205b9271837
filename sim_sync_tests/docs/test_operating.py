"""docs/operating.md explains what there is: every state, every end of a sweep, every exit code, and real messages."""

import ast
import re
from collections.abc import Iterator

import pytest

from sim_sync.core.session import State, SweepState
from sim_sync.terminal.output import ExitCode
from sim_sync_tests.docs.documents import PROJECT, table_rows

OPERATING = PROJECT / "docs" / "operating.md"
SURVIVES = PROJECT / "docs" / "how-a-sync-survives.md"
_MESSAGE_ROW = re.compile(r"^\| `([^`]+ [^`]+)`[^|]* \|", re.MULTILINE)


def messages() -> list[str]:
    """Return the messages that the page quotes: the code of first cells that is more than one word."""
    return _MESSAGE_ROW.findall(OPERATING.read_text(encoding="utf-8"))


def texts_of_the_code() -> Iterator[str]:
    """Yield every string of the code; what is filled in is left out."""
    for path in (PROJECT / "sim_sync").glob("**/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield "...".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


TEXTS = tuple(texts_of_the_code())


def test_every_state_and_every_end_of_a_sweep_is_explained() -> None:
    explained = {row[0] for row in table_rows(OPERATING)}
    assert {state.value for state in State} <= explained
    # `pending` is that of an open session.
    assert {state.value for state in SweepState} - {SweepState.PENDING} <= explained


def test_every_state_is_explained_where_it_is_told_how_a_sync_survives() -> None:
    assert {state.value for state in State} <= {row[0] for row in table_rows(SURVIVES)}


def test_every_exit_code_is_explained() -> None:
    told = [row[0] for row in table_rows(OPERATING)]
    assert [code for code in ExitCode if str(int(code)) not in told] == []


@pytest.mark.parametrize("message", messages())
def test_every_message_that_is_quoted_is_one_of_the_codes(message: str) -> None:
    for part in re.split(r"\s*\.\.\.\s*|\d+", message):
        assert any(part in text for text in TEXTS), part
