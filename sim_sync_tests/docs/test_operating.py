"""docs/operating.md explains what there is: every state, every end of a sweep, every exit code, and real messages."""

import ast
import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from sim_sync.core import errors
from sim_sync.core.errors import SimSyncError, WaitCause
from sim_sync.core.notes import CarrierOverview, urgency
from sim_sync.core.session import Session, State, SweepState
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


def kinds_below(kind: type[SimSyncError]) -> Iterator[type[SimSyncError]]:
    """Yield a kind of error and all kinds below it that the package defines."""
    yield kind
    for below in kind.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from kinds_below(below)


KINDS = {kind.__name__ for kind in kinds_below(SimSyncError)} - {"SimSyncError"}


def test_every_kind_of_error_is_explained_with_its_cause_and_what_to_do() -> None:
    rows = {row[0]: row[1:] for row in table_rows(OPERATING)}
    assert set(rows) >= KINDS
    assert all(len(rows[kind]) == 2 and all(rows[kind]) for kind in KINDS)


def test_no_kind_of_error_is_explained_that_is_gone() -> None:
    named = {row[0] for row in table_rows(OPERATING) if re.fullmatch(r"([A-Z][a-z]+){2,}", row[0])}
    assert named | {"Throttled", "Fenced"} == KINDS


def test_every_cause_of_a_wait_is_explained() -> None:
    assert {cause.value for cause in WaitCause} <= {row[0] for row in table_rows(OPERATING)}


@pytest.mark.parametrize("state", State)
def test_what_status_says_is_to_be_done_is_explained(state: State) -> None:
    session = a_session(state)
    todo = urgency(CarrierOverview(carrier="acme", newest=session), 36.0, session.updated_at).todo
    explained = {row[0].replace("...", "acme") for row in table_rows(OPERATING)} | {"nothing"}
    cause = re.fullmatch(r"nothing: (.+), tries again .+", todo)
    assert (cause[1] if cause else todo) in explained


def a_session(state: State) -> Session:
    now = datetime(2026, 3, 2, tzinfo=UTC)
    return Session(
        session_id="acme-1",
        session_number=1,
        carrier="acme",
        state=state,
        cursor={},
        fence=1,
        config_hash="c",
        started_at=now,
        updated_at=now,
    )


@pytest.mark.parametrize("message", messages())
def test_every_message_that_is_quoted_is_one_of_the_codes(message: str) -> None:
    for part in re.split(r"\s*\.\.\.\s*|\d+", message):
        assert any(part in text for text in TEXTS), part
