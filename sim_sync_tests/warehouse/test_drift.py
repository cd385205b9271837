"""Where the changes of two nights concentrate, on each database."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import sqlalchemy as sa

from sim_sync.core.sims import Sim
from sim_sync.warehouse.changes import changes_by_field, explain_drift
from sim_sync_tests.fakes.fleet import CARRIER, a_sim
from sim_sync_tests.warehouse.databases import SqlUnderTest
from sim_sync_tests.warehouse.store_under_test import night

SUSPENDED: Mapping[str, Any] = {"status": "suspended", "carrier_status": "Suspended"}


def fleet() -> list[Sim]:
    """Return 500 SIMs: 25 on plan X, in four accounts, in two ranges of ICCIDs."""
    return [
        a_sim(
            number,
            rate_plan="X" if number % 20 == 0 else "Y",
            account=f"a-{number % 4}",
            iccid=f"{8949 if number < 30 else 8988}0000000000{number:05d}",
        )
        for number in range(500)
    ]


def suspended(under_test: SqlUnderTest, is_meant: Callable[[Sim, int], bool], **fields: Any) -> str:
    """Live through a night with the fleet and one in which some of it is suspended; return the second's session."""
    night(under_test, fleet())
    changed = [
        sim._replace(**(fields or SUSPENDED)) if is_meant(sim, number) else sim for number, sim in enumerate(fleet())
    ]
    return night(under_test, changed).session_id


@pytest.mark.parametrize(
    ("is_meant", "told"),
    [
        (lambda sim, _: sim.rate_plan == "X", "100 % of the status changes are on plan X, which has 5 % of the SIMs"),
        (
            lambda _, number: number < 30,
            "100 % of the status changes are on ICCID range 8949000, which has 6 % of the SIMs",
        ),
        (lambda _, number: number % 9 == 0, None),
        (lambda _, number: number < 10, None),
        (lambda *_: True, None),
    ],
)
def test_one_group_is_named_where_the_changes_are(
    engine: sa.Engine, is_meant: Callable[[Sim, int], bool], told: str | None
) -> None:
    under_test = SqlUnderTest(engine)
    session_id = suspended(under_test, is_meant)
    assert list(explain_drift(engine, CARRIER, session_id=session_id)) == ([told] if told else [])
    assert list(explain_drift(engine, CARRIER, since=under_test.clock.now())) == ([told] if told else [])


def test_what_another_session_found_or_another_carrier_has_is_left_out(engine: sa.Engine) -> None:
    under_test = SqlUnderTest(engine)
    suspended(under_test, lambda sim, _: sim.rate_plan == "X")
    later = night(under_test, [sim._replace(status="active") for sim in fleet()[:1]])
    assert list(explain_drift(engine, CARRIER, session_id=later.session_id)) == []
    assert list(explain_drift(engine, "zeta")) == []


def test_a_sim_that_changed_in_several_nights_counts_once(engine: sa.Engine) -> None:
    under_test = SqlUnderTest(engine)
    suspended(under_test, lambda _, number: number < 6)
    for night_number in range(8):
        some = [sim._replace(label=f"night {night_number}") for sim in fleet()[:6]]
        night(under_test, [*some, *fleet()[6:]])
    assert list(explain_drift(engine, CARRIER)) == []


def test_a_field_does_not_explain_itself(engine: sa.Engine) -> None:
    """All SIMs that have moved to one plan are on that plan."""
    under_test = SqlUnderTest(engine)
    session_id = suspended(under_test, lambda _, number: number % 9 == 0, rate_plan="Z")
    assert list(explain_drift(engine, CARRIER, session_id=session_id)) == []


def test_the_changed_fields_of_a_session_are_counted(engine: sa.Engine) -> None:
    under_test = SqlUnderTest(engine)
    session_id = suspended(under_test, lambda _, number: number < 3)
    assert changes_by_field(engine, CARRIER, session_id) == {"carrier_status": 3, "status": 3}
