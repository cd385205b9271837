"""The command line of the simulator, as far as it does not serve."""

import json
from pathlib import Path

import pytest

from sim_sync.simulator.command import main


def test_an_inventory_is_written_and_summed_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(tmp_path / "inventory.csv")
    options = ["--sims", "50", "--carrier", "eu", "--differences", "missing=2,unknown=3,status=4"]
    assert main(["--write-inventory", file, *options]) == 0
    summary = {"file": file, "carrier": "eu", "rows": 49, "missing": 2, "unknown": 3, "status": 4}
    assert json.loads(capsys.readouterr().out) == summary
    assert len(Path(file).read_text().splitlines()) == 50


def test_an_inventory_without_differences_is_the_fleet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--write-inventory", str(tmp_path / "inventory.csv"), "--sims", "5"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--differences", "lost=1", "--write-inventory", "x"], "found 'lost=1'"),
        (["--sims", "-1"], "sims: Input should be greater than or equal to 0"),
        (["--port", "70000"], "port: Input should be less than or equal to 65535"),
        (["--credential", "hunter2"], "--credential: expected KEY=VALUE, found no equals sign"),
        (["--credential", "api_key=hunter2"], "expected username, password, found api_key"),
        (
            ["--vendor", "telnyx", "--credential", "password=hunter2"],
            "telnyx: expected api_key, found password",
        ),
        (["--vendor", "rest", "--option", "hunter2"], "--option: expected KEY=VALUE, found no equals sign"),
        (
            ["--vendor", "rest", "--option", "max_page_size=0"],
            "rest: max_page_size: Input should be greater",
        ),
        (["--requests-per-second", "0"], "requests_per_second: Input should be greater than 0"),
        (["--mount", '{"nme": "eu"}'], "nme: Unexpected keyword argument"),
        (["--mount", '{"name": 5, "credentials": {"password": "hunter2"}}'], "name: Input should be a valid string"),
        (["--mount", "eu"], "Invalid JSON"),
        (["--mount", '{"name": "_simulator"}'], "found '_simulator'"),
    ],
)
def test_wrong_options_are_one_clear_message_without_secrets(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert "hunter2" not in captured.err
    assert (captured.err.count("\n"), captured.out) == (1, "")


@pytest.mark.parametrize("arguments", [["--host", "0.0.0.0"], ["--vendor", "acme"], ["--sims", "many"]])  # noqa: S104  # refused
def test_what_is_not_offered_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "usage: sim-sync simulate" in capsys.readouterr().err
