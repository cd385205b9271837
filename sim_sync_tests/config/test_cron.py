import pytest

from sim_sync.config.sections import parse_cron


@pytest.mark.parametrize(
    "text",
    [
        "0 2 * * *",
        "*/15 * * * *",
        "0 0 1,15 * *",
        "30 4 * jan-mar mon-fri",
        "0 22 * * 0-6/2",
        "@daily",
        "59 23 31 12 7",
    ],
)
def test_a_cron_expression_is_taken_as_it_is(text: str) -> None:
    assert parse_cron(text) == text


@pytest.mark.parametrize(
    "text",
    ["", "0 2 * *", "0 2 * * * *", "60 2 * * *", "0 24 * * *", "0 2 0 * *", "0 2 * 13 *", "0 2 * * 8", "0 2 * * moon",
     "*/0 * * * *", "every night", "0 2 * * ,", "@sometimes", "-1 2 * * *"],
)  # fmt: skip
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="five fields"):
        parse_cron(text)
