import pytest

from sim_sync.core.counting import counted, percent_text


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
