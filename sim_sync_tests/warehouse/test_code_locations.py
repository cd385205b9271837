"""Code locations that are at work on one warehouse are seen by each other, and forgotten when they are gone."""

import pytest
import sqlalchemy as sa

from sim_sync.warehouse.code_locations import AT_WORK_SECONDS, CodeLocation, SqlCodeLocations, doubled
from sim_sync_tests.fakes.clock import SettableClock

ONE = CodeLocation("sim_sync/resume_interrupted_syncs", "1234567890", ["acme", "zeta"])
OTHER = CodeLocation("copy/resume_interrupted_syncs", "1234567890", ["zeta", "yota"])
ELSEWHERE = CodeLocation(ONE.name, "another-instance", ["acme"])


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


def test_those_that_look_are_at_work_and_those_that_stopped_are_not(engine: sa.Engine, clock: SettableClock) -> None:
    locations = SqlCodeLocations(engine, clock=clock.now)
    assert locations.note(ONE) == [ONE]
    clock.advance(AT_WORK_SECONDS - 1)
    assert locations.note(OTHER) == [OTHER, ONE]
    clock.advance(2)
    assert locations.note(ELSEWHERE) == [OTHER, ELSEWHERE]
    assert locations.note(ELSEWHERE) == locations.at_work() == [OTHER, ELSEWHERE], "a second look is the same one's"


def test_two_with_the_same_carriers_are_told_by_their_names() -> None:
    (told,) = doubled([ONE, OTHER], ["acme", "yota", "zeta"])
    assert told.startswith("zeta: two code locations look after this, sim_sync/resume_interrupted_syncs (Dagster ")
    assert "and copy/resume_interrupted_syncs (Dagster instance 12345678)" in told
    assert [told.split(":")[0] for told in doubled([ONE, OTHER, ELSEWHERE], ["acme"])] == ["acme"]
    assert not doubled([OTHER, ELSEWHERE], ["acme", "yota", "zeta"])
    assert not doubled([ONE], ["acme"])
