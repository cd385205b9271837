import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest

from sim_sync.core.text import counted, percent_text

PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("number", "told"),
    [(0, "0 pages"), (1, "1 page"), (2, "2 pages"), (1345, "1,345 pages"), (1_000_001, "1,000,001 pages")],
)
def test_a_number_of_things_is_told_in_its_grammar(number: int, told: str) -> None:
    assert counted(number, "page") == told


def test_a_plural_of_its_own_is_named() -> None:
    assert [counted(number, "discrepancy", "discrepancies") for number in (1, 2)] == [
        "1 discrepancy",
        "2 discrepancies",
    ]


@pytest.mark.parametrize(("percent", "told"), [(0, "0.0 %"), (58, "58.0 %"), (62.94, "62.9 %"), (100.0, "100.0 %")])
def test_a_share_has_one_form(percent: float, told: str) -> None:
    assert percent_text(percent) == told


_PLURAL = re.compile(
    r" (?:[a-z]+ ){0,2}?(?:attempts|columns|differences|discrepancies|kills|lines|pages|problems|records|requests|"
    r"resumes|retries|rows|runs|sessions|SIMs|values|walks|words)\b"
)
#: What stands before such a word and is no number, or never 1.
_NEVER_ONE = {
    "_percent(found.share_of_sims)",
    "MAX_FLEET_SIZE",
    "SIMULATED_SIMS",
    "1 + len(places)",
    "claimed.session_id",
    "given.where",
    "kind",
    "len(INJECTED_FAULTS)",
    "len(told)",
    "session.pages_expected or '?'",  # 1/1 pages: a share, in one form so that bars stand still
    "speed",  # a pace, mostly a fraction
}


def test_no_text_puts_a_number_before_a_plural_by_itself() -> None:
    """It would say `1 records`."""
    found = set()
    for path in (PROJECT / "sim_sync").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in (node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)):
            for value, text in pairwise(node.values):
                if not (isinstance(value, ast.FormattedValue) and isinstance(text, ast.Constant)):
                    continue
                if _PLURAL.match(str(text.value)) and ast.unparse(value.value) not in _NEVER_ONE:
                    found.add(f"{path.name}:{node.lineno}: {ast.unparse(node)}")
    assert found == set()
