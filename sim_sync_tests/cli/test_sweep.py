import getpass
from datetime import UTC, datetime

import pytest

from sim_sync.core.held_sweep import OperatorDecision, SweepChoice
from sim_sync.core.session import SweepState
from sim_sync_tests.cli.command_line import CommandLine, assert_one_message
from sim_sync_tests.fakes.fleet import a_page, a_sim
from sim_sync_tests.warehouse.databases import rows_of

FLEET = [a_sim(number, rate_plan="gold" if number % 2 else None, account="a-1") for number in range(200)]


@pytest.fixture
def held(command_line: CommandLine) -> CommandLine:
    """Half of acme's 200 SIMs were not seen in its last walk; zeta was never synced."""
    command_line.walk(*FLEET)
    assert command_line.walk(*FLEET[:100]).sweep_state is SweepState.HELD
    return command_line


def marked(command_line: CommandLine) -> int:
    return sum(row["absent_since"] is not None for row in rows_of(command_line.warehouse.engine, "carrier_sims"))


def test_show_lists_the_first_sims_and_counts_the_rest(held: CommandLine) -> None:
    said = held.type_in("sweep", "show", "acme")
    lines = said.out.splitlines()
    assert (said.code, said.err) == (0, "")
    assert "is held: 100 of 200 known SIMs (50.0 %) were missing at once" in lines[0]
    assert lines[1:5] == [
        "acme: approving it marks 100 SIMs: 100 absent, and 0 vanished, which an earlier walk missed too",
        "by status: active 100",
        "by plan: gold 50, none 50",
        "by account: a-1 100",
    ]
    assert lines[6].split() == ["sim-0100", "8988303000000000100", "active", "a-1", "absent"]
    assert lines[-3] == "and 50 more"
    assert lines[-2].startswith("`sim-sync sweep approve acme` marks exactly these (digest ")
    assert marked(held) == 0


def test_show_as_json_is_one_document(held: CommandLine) -> None:
    shown = held.type_in("sweep", "show", "acme", "--json").document
    assert {name: shown[name] for name in ("carrier", "sweep_state", "sims", "absent", "vanished", "not_listed")} == {
        "carrier": "acme",
        "sweep_state": "held",
        "sims": 100,
        "absent": 100,
        "vanished": 0,
        "not_listed": 50,
    }
    assert shown["by_rate_plan"] == [{"rate_plan": "gold", "sims": 50}, {"rate_plan": None, "sims": 50}]
    assert shown["by_status"] == [{"status": "active", "sims": 100}]
    assert shown["by_account"] == [{"account": "a-1", "sims": 100}]
    assert shown["listed"][1] == {
        "sim_id": "sim-0101",
        "iccid": "8988303000000000101",
        "status": "active",
        "rate_plan": "gold",
        "account": "a-1",
        "mark": "absent",
    }


def test_what_was_shown_is_marked_in_the_name_of_whoever_approves(held: CommandLine) -> None:
    held.type_in("sweep", "show", "acme")
    said = held.type_in("sweep", "approve", "acme", "--by", "ann", "--reason", "moved to zeta")
    assert said.code == 0
    assert "100 SIMs were marked absent, 0 vanished (by ann)" in said.out
    assert marked(held) == 100
    (told, _zeta) = held.type_in("status", "--json").document
    assert (told["sweep_state"], told["sweep_decided_by"]) == ("approved", "ann")
    assert told["sweep_decision_reason"] == "moved to zeta"
    assert datetime.fromisoformat(told["sweep_decided_at"]).tzinfo == UTC
    assert not any("sweep" in text for text in told["unresolved"])
    assert "sweep approved, decided by ann at " in held.type_in("status").out


def test_without_a_name_it_is_the_user_of_the_process(held: CommandLine) -> None:
    said = held.type_in("sweep", "reject", "acme")
    assert said.code == 0
    assert "the walk counts as wrong, and nothing was marked" in said.out
    assert marked(held) == 0
    assert rows_of(held.warehouse.engine, "sync_sessions")[-1]["sweep_decided_by"] == getpass.getuser()


def test_nothing_is_approved_that_was_not_shown(held: CommandLine) -> None:
    assert_one_message(held.type_in("sweep", "approve", "acme"), 2, "not shown yet", "`sim-sync sweep show acme`")
    assert marked(held) == 0


def test_what_has_changed_since_it_was_shown_is_shown_again_first(held: CommandLine) -> None:
    held.type_in("sweep", "show", "acme")
    session = held.open_session()
    assert session.cursor is not None
    held.warehouse.sessions.commit_page(session.claim, session.cursor, a_page([FLEET[150]], {"page": 1}))
    assert_one_message(held.type_in("sweep", "approve", "acme"), 2, "has changed since it was shown", "nothing was")
    assert marked(held) == 0
    assert held.type_in("sweep", "show", "acme", "--json").document["sims"] == 99
    assert held.type_in("sweep", "approve", "acme").code == 0
    assert marked(held) == 99


def test_a_list_can_be_named_by_its_digest(held: CommandLine) -> None:
    digest = held.type_in("sweep", "show", "acme", "--json").document["digest"]
    assert_one_message(held.type_in("sweep", "approve", "acme", "--digest", "0" * 16), 2, digest, "0" * 16)
    assert held.type_in("sweep", "approve", "acme", "--digest", digest).code == 0


@pytest.mark.parametrize("second", ["approve", "reject"])
def test_whoever_comes_second_hears_who_has_decided(held: CommandLine, second: str) -> None:
    held.type_in("sweep", "show", "acme")
    held.warehouse.sessions.decide_held_sweep("acme", OperatorDecision(SweepChoice.REJECT, "bob", "cut off"))
    said = held.type_in("sweep", second, "acme")
    assert_one_message(said, 2, "no held sweep", "is rejected, decided by bob at ", "cut off")


def test_a_later_certified_walk_makes_it_moot_and_that_is_said(held: CommandLine) -> None:
    held.type_in("sweep", "show", "acme")
    moot = held.warehouse.sessions.sweep_history("acme").held
    assert moot is not None
    held.walk(*FLEET)
    line = f"has made the held sweep of session {moot.session_id} moot"
    assert line in held.type_in("sweep", "show", "acme").out
    assert line in held.type_in("status").out
    assert_one_message(held.type_in("sweep", "approve", "acme"), 2, line)
    assert marked(held) == 0


def test_where_nothing_is_held_show_says_so(command_line: CommandLine) -> None:
    said = command_line.type_in("sweep", "show", "acme")
    assert (said.code, said.out) == (0, "acme: no sweep is held: no walk was certified complete yet\n")
    command_line.walk(*FLEET)
    shown = command_line.type_in("sweep", "show", "acme", "--json").document
    assert (shown["sweep_state"], shown["sims"]) == ("done", 0)


@pytest.mark.parametrize("action", ["show", "approve", "reject"])
def test_an_unknown_carrier_is_refused_with_the_known_ones(command_line: CommandLine, action: str) -> None:
    assert_one_message(command_line.type_in("sweep", action, "acne"), 2, "'acne'", "acme, zeta")


@pytest.mark.parametrize("action", ["approve", "reject"])
def test_nobody_decides_without_a_name(held: CommandLine, action: str) -> None:
    held.type_in("sweep", "show", "acme")
    assert_one_message(held.type_in("sweep", action, "acme", "--by", " "), 2, "--by")


def test_texts_of_a_carrier_reach_no_terminal_as_they_are(command_line: CommandLine) -> None:
    odd = [sim._replace(rate_plan="\x1b[2J", label="=1+1") for sim in FLEET]
    command_line.walk(*odd)
    command_line.walk(*odd[:100])
    out = command_line.type_in("sweep", "show", "acme").out
    assert "\x1b" not in out
    assert r"by plan: \x1b[2J 100" in out
