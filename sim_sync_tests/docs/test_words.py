"""The words of the field, and the contract's: those that were private to this code stay out of it."""

import re
import warnings
from pathlib import Path

import pytest

import sim_sync.carriers.messages
import sim_sync.carriers.pagination
import sim_sync.core.errors
from sim_sync.carriers.messages import Request, Response
from sim_sync.carriers.pagination import CursorInResponse, ResponseField
from sim_sync.core.errors import UnexpectedResponse

ROOT = Path(__file__).parents[2]
#: An old word, and what stands in its place.
OLD_WORDS = {
    r"\bAsk\b(?=[(\],:|]| \|)": "Request",
    r"\bAnswer\b(?=[(\],:|]| \|)": "Response",
    r"\bUnexpectedAnswer\b": "UnexpectedResponse",
    r"\b(?:Carrier)?Desk\b": "CarrierClient, LoginTransport, CommandLine",
    r"\b_?[tT]urnstile\b": "RateLimiter",
    r"\b(?:Own|Shared)?Traffic(?:Store)?\b": "RateLimitState",
    r"\bPatien(?:ce|tStore)\b(?! is)": "Retrier",
    r"\btrouble_of\b": "error_for",
    r"\b(?:Sweep)?Verdict\b": "a name in …Decision",
    r"\b(?:Run)?Sight\b": "CarrierSnapshot, RunSnapshot",
    r"\bopen_eyes\b": "open_context",
    r"\btold_(?:to_dagster|as_ours|at)\b": "as_dagster_failure, translate_db_errors, with_context",
    r"\bsteps_back\b": "rewinds",
    r"\bintroduce_run\b": "tag_run",
    r"\bclass (?:Stage|Theatre|Scene|Victim|Tally|Meeting|Nights|Walking|Race)\b": "a …Harness",
    r"\bBlueprint\b": "FleetSpec",
    r"\bpasses by itself\b": "is transient",
    r"\banew\b": "again",
    r"\bfor ever\b": "forever",
    r"\bbelongs? into\b": "belongs in",
    r"\bslip of the pen\b": "typo",
    r"\bleads in a circle\b": "loops",
    r"\bgives? the worker back\b": "frees the worker",
    r"\bknock(?:s|ed|ing)?\b": "try again",
    r"\bgo(?:es)? on\b": "continue",
    r"\bwent on\b": "continued",
    r"\bstands? twice\b": "appears twice",
    r"\bother rooms?\b": "package",
}
#: History keeps its words, vendors have theirs, and this file names them all.
_EXEMPT = (
    "docs/decisions/",
    "sim_sync_tests/specs/",
    "sim_sync_tests/docs/test_words.py",
    "sim_sync/warehouse/migrations/",
)


def our_texts() -> list[Path]:
    files = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
    for folder in ("sim_sync", "sim_sync_tests", "docs"):
        files += [path for path in (ROOT / folder).rglob("*") if path.suffix in {".py", ".md", ".yaml"}]
    return [path for path in files if not str(path.relative_to(ROOT)).startswith(_EXEMPT)]


def old_words(text: str) -> list[str]:
    """Return each line with an old word, by its number, and the word of the field."""
    return [
        f"{number}: {found[0]!r}: {new}"
        for number, line in enumerate(text.splitlines(), start=1)
        for old, new in OLD_WORDS.items()
        if (found := re.search(old, line)) and "renamed_names" not in line
    ]


def test_no_old_word_is_used() -> None:
    found = {str(path.relative_to(ROOT)): old_words(path.read_text(encoding="utf-8")) for path in our_texts()}
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize("line", ["request: Ask,", "it goes on", "class Scene:", "for ever"])
def test_an_old_word_is_found(line: str) -> None:
    assert old_words(line)


def test_a_connector_written_with_the_old_names_works_and_is_warned() -> None:
    with pytest.warns(DeprecationWarning, match="is called Request now"):
        assert getattr(sim_sync.carriers.messages, "Ask") is Request  # noqa: B009
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        assert getattr(sim_sync.carriers.messages, "Answer") is Response  # noqa: B009
        assert getattr(sim_sync.carriers.pagination, "CursorInAnswer") is CursorInResponse  # noqa: B009
        assert getattr(sim_sync.carriers.pagination, "Place") is ResponseField  # noqa: B009
        assert getattr(sim_sync.core.errors, "UnexpectedAnswer") is UnexpectedResponse  # noqa: B009
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        getattr(sim_sync.core.errors, "Nothing")  # noqa: B009
