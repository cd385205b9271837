import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sim_sync_tests.cli.command_line import CommandLine, assert_one_message
from sim_sync_tests.fakes.fleet import a_fleet, a_sim
from sim_sync_tests.report.places import compared, with_inventory


@pytest.fixture
def differing(command_line: CommandLine) -> CommandLine:
    """SIM 2 is unknown to us; zeta was never walked."""
    with_inventory(command_line, "acme", "zeta")
    compared(command_line, a_fleet(3), a_fleet(2))
    return command_line


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_writes_one_private_file_and_says_the_first_sentence(differing: CommandLine) -> None:
    said = differing.type_in("report", "--output", "report.html")
    assert (said.code, said.out, said.err) == (0, "report.html: 1 discrepancy is open at 1 carrier: 1 high.\n", "")
    path = differing.folder / "report.html"
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert mode(path) == 0o600
    assert [one.name for one in differing.folder.iterdir() if one.name.startswith("report.html.")] == []


def test_a_file_that_is_replaced_keeps_its_mode(differing: CommandLine) -> None:
    path = differing.folder / "shared.html"
    path.write_text("old", encoding="utf-8")
    path.chmod(0o644)
    assert differing.type_in("report", "--output", "shared.html").code == 0
    assert (mode(path), path.read_text(encoding="utf-8")[:9]) == (0o644, "<!doctype")


def test_a_dash_is_standard_output(differing: CommandLine) -> None:
    said = differing.type_in("report", "--output", "-")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("<!doctype html>")
    assert said.out.endswith("</html>\n")
    assert not (differing.folder / "-").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--output", "no/such/folder/x.html"), ("no/such/folder/x.html", "No such file or directory")),
        (("--output", "."), ("expected the name of a file",)),
        (("--output", "x.html", "--carrier", "acne"), ("'acne'", "acme, zeta")),
        (("--output", "x.html", "--since", "yesterday"), ("'yesterday'", "24h")),
    ],
)
def test_what_cannot_be_written_is_refused(
    differing: CommandLine, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    assert_one_message(differing.type_in("report", *arguments), 2, *words)
    assert not list(differing.folder.glob("x.html*"))


def test_without_a_file_it_says_which_option_is_missing(differing: CommandLine) -> None:
    said = differing.type_in("report")
    assert said.code == 2
    assert "--output" in said.err


def test_a_report_that_fails_leaves_the_file_as_it_was(differing: CommandLine) -> None:
    path = differing.folder / "report.html"
    path.write_text("before", encoding="utf-8")
    said = differing.type_in("report", "--output", "report.html", "--since", "soon")
    assert said.code == 2
    assert path.read_text(encoding="utf-8") == "before"


def test_the_period_decides_what_is_new(differing: CommandLine) -> None:
    page = differing.type_in("report", "--output", "-", "--since", "1h").out
    assert "1 of the open ones appeared and 0 were resolved." in page
    page = differing.type_in("report", "--output", "-", "--since", "2999-01-01").out
    assert "Since 1 January 2999, nothing appeared and nothing was resolved." in page


def test_a_label_of_twenty_digits_keeps_all_of_them(differing: CommandLine) -> None:
    iccid = "89883070000004567898"
    compared(differing, [a_sim(1, iccid=iccid, iccid_raw=iccid)], [], "zeta")
    assert iccid in differing.type_in("report", "--output", "-").out


def test_other_commands_load_neither_the_plots_nor_the_templates() -> None:
    script = "import sys; import sim_sync.cli.app, sim_sync.cli.status; print({'pygal', 'jinja2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
