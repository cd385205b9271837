"""Twilio's and KORE's Super SIM: what a record tells, after the example in Twilio's own OpenAPI file."""

import json
from typing import Any

import pytest

from sim_sync.carriers.messages import Response
from sim_sync.carriers.registry import connectors
from sim_sync_tests.carriers.walking import SPECS


def example(vendor: str) -> Any:
    """Return the vendor's own example of a page with SIMs."""
    document = json.loads((SPECS / vendor / "sim_list.openapi.json").read_text())
    responses = document["paths"]["/v1/Sims"]["get"]["responses"]["200"]["content"]["application/json"]["examples"]
    return next(shown["value"] for shown in responses.values() if shown["value"]["sims"])


@pytest.mark.parametrize(("kind", "vendor"), [("twilio_super_sim", "twilio"), ("kore_super_sim", "kore")])
def test_the_vendors_own_example_is_read(kind: str, vendor: str) -> None:
    page = example(vendor)
    connector = connectors()[kind]
    sims, rejected = connector.record_map.read_page(connector.records(Response(status=200, headers={}, body=page)))
    assert rejected == []
    assert [sim.sim_id for sim in sims] == [record["sid"] for record in page["sims"]]
    assert [sim.iccid for sim in sims] == [record["iccid"] for record in page["sims"]]
    assert {flag for sim in sims for flag in json.loads(sim.quality_flags)} <= {"iccid_check_digit"}
    assert "https" not in sims[0].attributes


@pytest.mark.parametrize(
    ("word", "status", "pending"),
    [
        ("new", "inventory", False),
        ("ready", "activation_ready", False),
        ("active", "active", False),
        ("inactive", "deactivated", False),
        ("scheduled", "unknown", True),
        ("asleep", "unknown", False),
    ],
)
@pytest.mark.parametrize("kind", ["twilio_super_sim", "kore_super_sim"])
def test_the_vendors_words_have_their_place_in_the_lifecycle(kind: str, word: str, status: str, pending: bool) -> None:
    sim = connectors()[kind].record_map.read({"sid": "HS1", "iccid": "89883070000123456789", "status": word})
    assert (sim.carrier_status, sim.status, sim.pending) == (word, status, pending)
