"""The measure itself: a page that strays from the vendor's schema has to be noticed."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import ValidationError

from sim_sync_tests.simulator.vendor_schema import assert_valid, assert_valid_error, example_of

OPENAPI = "twilio/sim_list.openapi.json"


def test_the_vendors_own_example_passes() -> None:
    example = example_of(OPENAPI, "/v1/Sims", "readFullByFleetSid")
    assert assert_valid(OPENAPI, "/v1/Sims", json.dumps(example).encode()) == example


@pytest.mark.parametrize(
    "stray",
    [
        lambda page: page.pop("meta"),
        lambda page: page["meta"].pop("previous_page_url"),
        lambda page: page["meta"].update(page="0"),
        lambda page: page["sims"][0].update(imsi="234500000000000"),
        lambda page: page["sims"][0].update(status="asleep"),
        lambda page: page["sims"][0].update(sid="HS1"),
        lambda page: page["sims"][0].update(date_created="yesterday"),
        lambda page: page["sims"][0].pop("iccid"),
        lambda page: page["sims"].append(7),
    ],
)
def test_a_page_that_strays_is_noticed(stray: Callable[[Any], object]) -> None:
    page = json.loads(json.dumps(example_of(OPENAPI, "/v1/Sims", "readFullByFleetSid")))
    stray(page)
    with pytest.raises(ValidationError):
        assert_valid(OPENAPI, "/v1/Sims", json.dumps(page).encode())


def test_a_file_that_requires_nothing_still_allows_only_what_it_names() -> None:
    spec, path = "soracom/sim_list.openapi.json", "/sims"
    assert_valid(spec, path, b'[{"simId": "1"}]', strictness="named")
    for stray in (b'[{"simID": "1"}]', b'[{"simId": 1}]', b'{"simId": "1"}'):
        with pytest.raises(ValidationError):
            assert_valid(spec, path, stray, strictness="named")


def test_a_resource_needs_what_the_forum_requires() -> None:
    spec, path = "tmf639/sim_list.openapi.json", "/resource"
    assert_valid(spec, path, b'[{"@type": "LogicalResource", "id": "1", "href": "/1"}]', strictness="plain")
    for stray in (b'[{"id": "1", "href": "/1"}]', b'[{"@type": "LogicalResource", "id": "1"}]'):
        with pytest.raises(ValidationError):
            assert_valid(spec, path, stray, strictness="plain")


def test_an_error_that_strays_is_noticed() -> None:
    with pytest.raises(ValidationError):
        assert_valid_error("1nce/sim_list.openapi.json", "BadRequest", b'{"message": "no"}')
