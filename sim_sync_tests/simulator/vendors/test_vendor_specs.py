"""Simulated answers against the vendors' own OpenAPI files, and calls with the parameters that those name."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from sim_sync.simulator.control import SimulatorControl
from sim_sync.simulator.faults import ErrorStatus
from sim_sync.simulator.messages import MountOptions
from sim_sync.simulator.server import SimulatorServer
from sim_sync_tests.simulator.raw_http import client
from sim_sync_tests.simulator.vendor_schema import Strictness, assert_valid, assert_valid_error, example_of
from sim_sync_tests.simulator.vendors.dialects import DIALECTS
from sim_sync_tests.simulator.vendors.walking import Dialect, ask, pages

Start = Callable[..., SimulatorServer]


class Published(NamedTuple):
    """Where a vendor's list answer is described, and how strictly that can be read."""

    dialect: str
    spec: str
    path: str
    strictness: Strictness
    error: str | None = None


PUBLISHED = [
    Published("twilio_wireless", "twilio/wireless_sim_list.openapi.json", "/v1/Sims", "all"),
    Published("kore_super_sim", "kore/sim_list.openapi.json", "/v1/Sims", "all"),
    Published("one_nce", "1nce/sim_list.openapi.json", "/v2/sims", "named", "BadRequest"),
    Published("soracom", "soracom/sim_list.openapi.json", "/sims", "named"),
    Published("tmf639 by offset", "tmf639/sim_list.openapi.json", "/resource", "plain", "Error"),
    Published("tmf639 by cursor", "tmf639/sim_list.openapi.json", "/resource", "plain", "Error"),
]
BY_NAME = {str(dialect): dialect for dialect in DIALECTS}
published = pytest.mark.parametrize("described", PUBLISHED, ids=lambda described: described.dialect)


def listed(start: Start, dialect: Dialect) -> list[bytes]:
    """Return the bodies of a walk over SIMs that were all active at some time: files know no nulls."""
    server = start(MountOptions(vendor=dialect.vendor, sims=300, options=dialect.options))
    with client(server.url) as carrier:
        return [seen.body for seen in pages(carrier, dialect, page_size=50)]


@published
def test_every_page_is_what_the_vendors_file_says(start: Start, described: Published) -> None:
    found: list[Any] = []
    for body in listed(start, BY_NAME[described.dialect]):
        found.append(assert_valid(described.spec, described.path, body, strictness=described.strictness))
    assert len(found) > 5


@pytest.mark.parametrize("described", [place for place in PUBLISHED if place.error], ids=lambda place: place.dialect)
@pytest.mark.parametrize("status", [400, 404, 500])
def test_every_error_is_what_the_vendors_file_says(start: Start, described: Published, status: int) -> None:
    dialect = BY_NAME[described.dialect]
    server = start(MountOptions(vendor=dialect.vendor, options=dialect.options))
    SimulatorControl(server.url).arm(ErrorStatus(status=status))
    with client(server.url) as carrier:
        response = ask(carrier, dialect.first(10), dialect.login(carrier))
    assert response.status == status
    assert_valid_error(described.spec, described.error or "", response.body)


def test_a_wireless_sim_has_exactly_the_fields_of_the_vendors_example(start: Start) -> None:
    dialect = BY_NAME["twilio_wireless"]
    spec = "twilio/wireless_sim_list.openapi.json"
    example = example_of(spec, "/v1/Sims", "readFull")
    page = assert_valid(spec, "/v1/Sims", listed(start, dialect)[0])
    assert page["meta"].keys() == example["meta"].keys()
    assert page["sims"][0].keys() == example["sims"][0].keys()
    assert page["sims"][0]["links"].keys() == example["sims"][0]["links"].keys()


def test_a_soracom_login_answers_as_the_vendors_file_says(start: Start) -> None:
    server = start(MountOptions(vendor="soracom"))
    with client(server.url) as carrier:
        body = b'{"authKeyId": "keyId-simulated-soracom", "authKey": "simulated-soracom-auth-key"}'
        seen = carrier.send("POST", "/v1/auth", headers={"Content-Type": "application/json"}, body=body)
    assert_valid("soracom/sim_list.openapi.json", "/auth", seen.body, method="post", strictness="named")
