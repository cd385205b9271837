"""What a carrier echoes of the account's own secrets is stored in no column of a record and shown in no message."""

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from sim_sync.carriers.rest.connector import CONNECTOR, Declaration, Header
from sim_sync.carriers.secrets import HIDDEN, Redactor, without_own_secrets
from sim_sync.carriers.settings import CarrierSettings, Retry
from sim_sync.carriers.source import RestCarrier
from sim_sync.core.errors import SimSyncError
from sim_sync.core.pages import Page, QuarantinedRecord
from sim_sync.core.sims import Sim
from sim_sync_tests.fakes.fleet import a_sim
from sim_sync_tests.fakes.raw_server import in_turn, reply, serving
from sim_sync_tests.fakes.waiter import RecordingWaiter

SECRET = "tok-4711-abcdef"
ENCODED = base64.b64encode(SECRET.encode()).decode()
OTHERS = {"status", "pending", "activated_at", "carrier_updated_at", "quality_flags", "attributes"}
TEXTS = [name for name in Sim._fields if name not in OTHERS]


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("form", [SECRET, f"Bearer {SECRET}", f"Basic {ENCODED}"])
def test_no_column_of_a_sim_holds_a_secret(name: str, form: str) -> None:
    page = Page([a_sim(1), a_sim(2, **{name: form})], None, 2)
    clean = without_own_secrets(page, Redactor([SECRET]))
    assert clean.sims[0] == a_sim(1)
    assert getattr(clean.sims[1], name) == form.replace(SECRET, HIDDEN).replace(ENCODED, HIDDEN)


def test_attributes_and_payloads_stay_json_without_the_secret_in_values_keys_and_numbers() -> None:
    odd = {"a": [f"x {SECRET}"], SECRET: 1, "n": 47114711, "m": 471147110, "deep": {"url": f"/x?t={SECRET}&p=2"}}
    page = Page(
        [a_sim(1, attributes=json.dumps(odd))], None, 2, [QuarantinedRecord(1, f"found {SECRET}", json.dumps(odd))]
    )
    clean = without_own_secrets(page, Redactor([SECRET, "47114711"]))
    expected = {"a": [f"x {HIDDEN}"], HIDDEN: 1, "n": HIDDEN, "m": 471147110, "deep": {"url": f"/x?t={HIDDEN}&p=2"}}
    assert json.loads(clean.sims[0].attributes) == json.loads(clean.rejected[0].payload) == expected
    assert clean.rejected[0].reason == f"found {HIDDEN}"


def test_a_page_without_a_secret_is_not_touched() -> None:
    page = Page([a_sim(1)], None, 1)
    assert without_own_secrets(page, Redactor([SECRET])) is page
    assert without_own_secrets(page, Redactor()) is page


def a_carrier(url: str, declared: Mapping[str, Any], **settings: Any) -> RestCarrier:
    plain: dict[str, Any] = {
        "list": {"path": "/sims", "records": "data", "pagination": {"type": "page_number", "page_param": "page"}},
        "fields": {"sim_id": "id", "label": "label"},
    }
    given = CarrierSettings(
        name="acme",
        base_url=url,
        page_size=10,
        auth=Header(type="header", name="X-Key", value=SECRET),
        options=Declaration.model_validate(plain | dict(declared)),
        retry=Retry(max_attempts=1),
    )
    return RestCarrier(CONNECTOR, replace(given, **settings), RecordingWaiter())


def test_an_echo_of_the_credentials_is_hidden_in_what_a_page_brings() -> None:
    records = [{"id": f"of {SECRET}", "label": SECRET, "seen": [{"header": SECRET}]}, {"owner": SECRET}]
    with serving(in_turn(reply(body={"data": records}))) as server:
        page = a_carrier(server.url, {}).fetch_page({})
    assert SECRET not in repr(page)
    assert (page.sims[0].sim_id, page.sims[0].label) == (f"of {HIDDEN}", HIDDEN)
    assert (len(page.sims), len(page.rejected)) == (1, 1)


def test_a_header_from_the_environment_is_a_secret_too_and_so_is_a_parameter_that_is_called_one() -> None:
    header, key, account = "hdr-4711-abcdef", "key-4711-abcdef", "our-account-4711"
    places = {
        ("list", "headers", "X-Tenant"): header,
        ("list", "params", "apikey"): key,
        ("list", "params", "acc"): account,
    }
    body = {"data": [{"id": 1, "label": f"{header} {key} {account}"}]}
    with serving(in_turn(reply(body=body))) as server:
        page = a_carrier(server.url, {}, from_variables=places).fetch_page({})
    assert page.sims[0].label == f"{HIDDEN} {HIDDEN} {account}", "an account's name may be stored"


@pytest.mark.parametrize(
    "body",
    [{"data": SECRET}, {"error": f"bad key {SECRET}"}, {"data": [], "total": f"{SECRET}"}, [SECRET], f"{SECRET}"],
)
def test_no_message_shows_a_secret_or_a_value_of_the_environment(body: Any) -> None:
    declared = {
        "list": {
            "path": "/env-4711-path",
            "records": "data",
            "pagination": {"type": "page_number", "page_param": "page", "total": "total"},
        }
    }
    places = {("list", "path"): "/env-4711-path", ("list", "records"): "data"}
    with serving(in_turn(reply(body=body))) as server, pytest.raises(SimSyncError) as refused:
        a_carrier(server.url, declared, from_variables=places).fetch_page({})
    told = f"{refused.value}{refused.value!r}"
    assert "4711" not in told
    assert "abcdef" not in told
