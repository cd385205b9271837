import pytest

from sim_sync.core.counting import counted


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
