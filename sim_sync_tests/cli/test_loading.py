import pytest

from sim_sync.cli.backfill import loading_told
from sim_sync.defs.assets import LOADING


def test_the_terminal_shows_what_the_load_of_our_list_reports_and_only_while_it_is_asked_to(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with loading_told():
        LOADING.info("acme: loading our inventory (220,154 rows)")
    LOADING.info("acme: loading our inventory (300,000 rows)")
    assert capsys.readouterr() == ("acme: loading our inventory (220,154 rows)\n", "")
