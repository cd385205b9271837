"""SIMs, pages and requests in their plainest form; a test names only what it is about."""

from collections.abc import Sequence
from typing import Any

from sim_sync.core.opening import OpenRequest, Trigger
from sim_sync.core.pages import Cursor, Page, QuarantinedRecord
from sim_sync.core.session import Process
from sim_sync.core.sims import Sim

CARRIER = "acme"
FIRST_CURSOR: Cursor = {"page": 0}
LEASE_SECONDS = 30.0


def a_sim(number: int = 1, **fields: Any) -> Sim:
    """Return an active SIM whose identifiers follow from its number."""
    sim = Sim(
        sim_id=f"sim-{number:04d}",
        iccid=f"8988303{number:012d}",
        iccid_raw=f"8988303{number:012d}",
        imsi=f"29501{number:010d}",
        status="active",
        carrier_status="Activated",
        attributes='{"endpoint":{"id":7}}',
    )
    return sim._replace(**fields)


def a_fleet(size: int) -> list[Sim]:
    """Return SIMs number 0 to `size` - 1."""
    return [a_sim(number) for number in range(size)]


def a_rejected(position: int = 0, reason: str = "no sim_id") -> QuarantinedRecord:
    """Return a record that could not be read."""
    return QuarantinedRecord(position, reason, '{"iccid":null}')


def a_page(
    sims: Sequence[Sim] = (),
    next_cursor: Cursor | None = None,
    *,
    rejected: Sequence[QuarantinedRecord] = (),
    **fields: Any,
) -> Page:
    """Return a page that counts its own records."""
    records = fields.pop("records", len(sims) + len(rejected))
    return Page(sims=sims, next_cursor=next_cursor, records=records, rejected=rejected, **fields)


def a_request(owner: str = "run-1", trigger: Trigger = Trigger.SENSOR, **fields: Any) -> OpenRequest:
    """Return a run's wish to work on `CARRIER`, with the limits of the documentation."""
    plain: dict[str, Any] = {
        "carrier": CARRIER,
        "process": Process(host="host-1", pid=4711, started="2026-03-02T01:59:58Z"),
        "first_cursor": FIRST_CURSOR,
        "config_hash": "config-1",
        "lease_seconds": LEASE_SECONDS,
        "max_session_age_hours": 24.0,
        "max_stalled_resumes": 3,
    }
    return OpenRequest(owner=owner, trigger=trigger, **(plain | fields))
