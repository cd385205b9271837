"""`sim-sync check` finds nothing wrong with the two pages of a sound carrier, of whatever type it is."""

import pytest

from sim_sync.simulator.server import SimulatorServer
from sim_sync_tests.cli.command_line import CommandLine
from sim_sync_tests.stories.every_carrier import CASES, Case


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_two_pages_of_a_sound_carrier_are_well(command_line: CommandLine, case: Case) -> None:
    with SimulatorServer((case.mount(sims=4_000),)) as simulator:
        command_line.write_carriers(acme=case.carrier(simulator.url) | {"page_size": 50})
        (found,) = command_line.type_in("check", "--json").document["carriers"]
    assert (found["problem"], list(found["doubts"]), found["ok"]) == (None, [], True)
