"""What one vendor does and no other, over real HTTP."""

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from sim_sync.core.errors import InputError
from sim_sync.simulator.control import SimulatorControl
from sim_sync.simulator.credentials import LISTED_SECRET_MARK, SECRET_MARKS, simulated_credentials
from sim_sync.simulator.faults import Throttled, TokenExpiry
from sim_sync.simulator.fleet import FleetEdit
from sim_sync.simulator.messages import MountOptions
from sim_sync.simulator.server import SimulatorServer
from sim_sync.simulator.vendors import VENDORS
from sim_sync_tests.simulator.raw_http import Client, Seen, client
from sim_sync_tests.simulator.vendors.dialects import (
    CISCO,
    DIALECTS,
    EMNIFY,
    HOLOGRAM,
    SORACOM,
    THINGSPACE,
    THINGSPACE_LIST,
    thingspace_page,
)
from sim_sync_tests.simulator.vendors.rest_dialects import REST_DIALECTS
from sim_sync_tests.simulator.vendors.walking import (
    Call,
    Dialect,
    ask,
    basic_headers,
    pages,
    posted,
    read_walk,
    secret,
    target,
)

Start = Callable[..., SimulatorServer]
BY_NAME = {str(dialect): dialect for dialect in (*DIALECTS, *REST_DIALECTS)}


@contextmanager
def carrier_of(start: Start, vendor: str, sims: int = 200, **options: Any) -> Iterator[tuple[Client, SimulatorControl]]:
    server = start(MountOptions(vendor=vendor, sims=sims, options=options))
    with client(server.url) as carrier:
        yield carrier, SimulatorControl(server.url)


def throttled(start: Start, dialect: Dialect, fault: Throttled) -> Seen:
    server = start(MountOptions(vendor=dialect.vendor, options=dialect.options))
    with client(server.url) as carrier:
        SimulatorControl(server.url).arm(fault)
        return ask(carrier, dialect.first(10), dialect.login(carrier))


def own_headers(seen: Seen) -> Mapping[str, str]:
    common = {"date", "content-type", "content-length"}
    return {name.lower(): value for name, value in seen.headers.items() if name.lower() not in common}


class TestThrottles:
    @pytest.mark.parametrize(
        ("dialect", "headers", "body"),
        [
            ("twilio_super_sim", {}, '"code": 20429'),
            ("kore_super_sim", {}, '{"status": 429, "message": "Too Many Requests"}'),
            (
                "telnyx",
                {"x-ratelimit-limit": "200", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "7"},
                '"code": "10011", "title": "Too many requests"',
            ),
            ("emnify", {}, "Rate limit exceeded"),
            ("one_nce", {}, '"error_token": "TooManyRequests"'),
            (
                "soracom",
                {
                    "x-soracom-ratelimit-limit": "6000",
                    "x-soracom-ratelimit-remaining": "0",
                    "x-soracom-ratelimit-seconds-before-refresh": "7",
                },
                "Rate limit exceeded",
            ),
            ("hologram", {}, '{"success": false, "error": "API rate limit exceeded"}'),
            ("cisco_control_center", {}, '"errorCode": "400101"'),
            ("rest by next link in the body", {"retry-after": "7"}, '"code": 429'),
        ],
    )
    def test_each_vendor_tells_the_wait_in_its_own_way_or_not_at_all(
        self, start: Start, dialect: str, headers: Mapping[str, str], body: str
    ) -> None:
        seen = throttled(start, BY_NAME[dialect], Throttled(wait_seconds=7))
        assert (seen.status, own_headers(seen)) == (429, headers)
        assert body in seen.body.decode()

    def test_emnify_tells_a_quota_that_is_gone_by_its_text_alone(self, start: Start) -> None:
        seen = throttled(start, EMNIFY, Throttled(quota_gone=True))
        assert (seen.status, own_headers(seen)) == (429, {})
        assert "Monthly API call quota exceeded" in seen.json()["message"]


class TestHologram:
    def test_the_last_page_lacks_what_tells_of_another(self, start: Start) -> None:
        with carrier_of(start, "hologram", sims=20) as (carrier, _):
            *others, last = [seen.json() for seen in pages(carrier, HOLOGRAM, page_size=6)]
        assert others
        assert all(page["continues"] is True and page["lastid"] == page["data"][-1]["id"] for page in others)
        assert {"continues", "lastid"}.isdisjoint(last)
        assert "next" not in last["links"]

    def test_the_newest_device_comes_first_and_one_added_during_a_walk_is_not_seen_by_it(self, start: Start) -> None:
        with carrier_of(start, "hologram", sims=40) as (carrier, control):
            walk = pages(carrier, HOLOGRAM, page_size=5)
            devices = HOLOGRAM.records(next(walk))
            control.add_sims(9)
            devices += [device for seen in walk for device in HOLOGRAM.records(seen)]
            again = [device["id"] for seen in pages(carrier, HOLOGRAM) for device in HOLOGRAM.records(seen)]
        ids = [device["id"] for device in devices]
        assert ids == sorted(ids, reverse=True)
        created = [device["whencreated"] for device in devices]
        assert created == sorted(created, reverse=True)
        assert again[-len(ids) :] == ids
        assert len(again) > len(ids)

    def test_one_device_in_seven_holds_two_sims_and_loses_one_or_both(self, start: Start) -> None:
        with carrier_of(start, "hologram", sims=16) as (carrier, control):
            control.remove_sims([6, 14, 15])
            devices = [device for seen in pages(carrier, HOLOGRAM) for device in HOLOGRAM.records(seen)]
        assert [len(device["links"]["cellular"]) for device in devices] == [1] * 13
        with carrier_of(start, "hologram", sims=16) as (carrier, _):
            devices = [device for seen in pages(carrier, HOLOGRAM) for device in HOLOGRAM.records(seen)]
        assert sorted(len(device["links"]["cellular"]) for device in devices) == [1] * 12 + [2] * 2

    def test_imsis_are_numbers_and_pins_and_puks_are_listed(self, start: Start) -> None:
        with carrier_of(start, "hologram", sims=1) as (carrier, control):
            (page,) = [seen.json() for seen in pages(carrier, HOLOGRAM)]
            (truth,) = control.fetch_sims()
        link = page["data"][0]["links"]["cellular"][0]
        assert (link["imsi"], type(link["imsi"])) == (int(truth.sim.imsi or ""), int)
        assert (link["pin"], link["puk"]) == (f"{LISTED_SECRET_MARK}pin-0", f"{LISTED_SECRET_MARK}puk-0")


class TestSoracom:
    def test_pages_are_short_or_empty_though_more_follow(self, start: Start) -> None:
        with carrier_of(start, "soracom", sims=1000) as (carrier, _):
            sizes = [len(seen.json()) for seen in pages(carrier, SORACOM, page_size=20)]
        assert sum(sizes) == 1000
        assert {0, 20} < set(sizes)
        assert len(sizes) > 60

    def test_pages_are_full_where_the_mount_says_so(self, start: Start) -> None:
        with carrier_of(start, "soracom", sims=1000, short_pages=False) as (carrier, _):
            assert [len(seen.json()) for seen in pages(carrier, SORACOM, page_size=20)] == [20] * 50

    def test_some_sims_have_two_profiles_and_virtual_ones_a_private_key(self, start: Start) -> None:
        with carrier_of(start, "soracom", sims=32) as (carrier, _):
            found = [sim for seen in pages(carrier, SORACOM) for sim in seen.json()]
        assert sorted(len(sim["profiles"]) for sim in found) == [1] * 30 + [2] * 2
        assert all(sim["activeProfileId"] in sim["profiles"] for sim in found)
        keys = [p["arcClientPeerPrivateKey"] for sim in found for p in sim["profiles"].values() if len(p) == 5]
        assert [key.startswith(LISTED_SECRET_MARK) for key in keys] == [True, True]

    @pytest.mark.parametrize("seconds", [0, 172_801, "x"])
    def test_a_token_lives_at_most_two_days(self, start: Start, seconds: object) -> None:
        document = {"authKeyId": secret("soracom", "auth_key_id"), "authKey": secret("soracom", "auth_key")}
        with carrier_of(start, "soracom") as (carrier, _):
            assert ask(carrier, posted("/v1/auth", document | {"tokenTimeoutSeconds": seconds}), {}).status == 400
            assert ask(carrier, posted("/v1/auth", document | {"authKey": "x"}), {}).status == 401

    def test_both_secrets_are_needed(self, start: Start) -> None:
        with carrier_of(start, "soracom") as (carrier, _):
            headers = SORACOM.login(carrier)
            for name in headers:
                assert ask(carrier, SORACOM.first(5), {name: headers[name]}).status == 401


class TestThingSpace:
    def test_an_expired_session_is_renewed_without_another_access_token(self, start: Start) -> None:
        with carrier_of(start, "thingspace") as (carrier, control):
            old = THINGSPACE.login(carrier)
            control.arm(TokenExpiry(which="session"))
            assert ask(carrier, thingspace_page(5), old).status == 401
            new = THINGSPACE.login(carrier)
            assert new["Authorization"] == old["Authorization"]
            assert ask(carrier, thingspace_page(5), new).status == 202
            control.arm(TokenExpiry(which="access"))
            assert ask(carrier, thingspace_page(5), new).status == 401
            assert ask(carrier, thingspace_page(5), {**THINGSPACE.login(carrier)}).status == 202

    def test_a_session_dies_when_idle(self, start: Start) -> None:
        with carrier_of(start, "thingspace", session_idle_seconds=1e-9) as (carrier, _):
            assert ask(carrier, thingspace_page(5), THINGSPACE.login(carrier)).status == 401

    @pytest.mark.parametrize("account", ["123456-00001", "123456", 123456, None])
    def test_the_accounts_name_needs_its_leading_zeros(self, start: Start, account: object) -> None:
        with carrier_of(start, "thingspace") as (carrier, _):
            headers = THINGSPACE.login(carrier)
            seen = ask(carrier, posted(THINGSPACE_LIST, {"accountName": account}), headers)
        assert seen.status == 400
        assert "accountName" in seen.json()["errorMessage"]

    def test_five_bad_logins_lock_the_account(self, start: Start) -> None:
        user = {"username": secret("thingspace", "username"), "password": secret("thingspace", "password")}
        with carrier_of(start, "thingspace") as (carrier, _):
            access = {"Authorization": THINGSPACE.login(carrier)["Authorization"]}
            bad = posted("/api/m2m/v1/session/login", user | {"password": "x"})
            statuses = [ask(carrier, bad, access).status for _ in range(6)]
            locked = ask(carrier, posted("/api/m2m/v1/session/login", user), access)
        assert statuses == [401] * 5 + [403]
        assert (locked.status, locked.json()["errorCode"]) == (403, "REQUEST_FAILED.AccountLocked")

    def test_a_login_needs_the_access_token_first(self, start: Start) -> None:
        with carrier_of(start, "thingspace") as (carrier, _):
            assert ask(carrier, posted("/api/m2m/v1/session/login", {}), {}).status == 401

    def test_kinds_of_ids_vary_in_case(self, start: Start) -> None:
        with carrier_of(start, "thingspace", sims=16) as (carrier, _):
            devices = [device for seen in pages(carrier, THINGSPACE) for device in THINGSPACE.records(seen)]
        assert {pair["kind"] for device in devices for pair in device["deviceIds"]} > {"ICCID", "iccId"}


class TestCisco:
    @staticmethod
    def refusal(start: Start, query: str) -> Any:
        with carrier_of(start, "cisco_control_center") as (carrier, _):
            seen = ask(carrier, Call(f"/rws/api/v1/devices?{query}"), CISCO.login(carrier))
        assert seen.status == 400
        return seen.json()["errorMessage"]

    def test_the_windows_start_is_required(self, start: Start) -> None:
        assert self.refusal(start, "pageSize=50") == "modifiedSince is required"

    def test_a_plus_sign_has_to_be_encoded(self, start: Start) -> None:
        message = self.refusal(start, "modifiedSince=2020-01-01T00:00:00+00:00")
        assert message == "modifiedSince must be a time such as 2016-04-18T17:31:34+00:00"

    def test_a_time_needs_a_zone(self, start: Start) -> None:
        assert self.refusal(start, "modifiedSince=2020-01-01T00:00:00") == "modifiedSince must have a time zone"

    @pytest.mark.parametrize("till", ["2021-01-01T00:00:01Z", "2019-12-31T00:00:00Z"])
    def test_a_window_is_at_most_a_year_long(self, start: Start, till: str) -> None:
        message = self.refusal(start, f"modifiedSince=2020-01-01T00:00:00Z&modifiedTill={till}")
        assert message == "modifiedTill must be at most one year after modifiedSince"

    @pytest.mark.parametrize("since", ["2020-02-29T00:00:00Z", "2020-01-01T00:00:00Z"])
    def test_a_window_without_an_end_is_a_year_long(self, start: Start, since: str) -> None:
        with carrier_of(start, "cisco_control_center", sims=0) as (carrier, _):
            seen = ask(carrier, Call(target("/rws/api/v1/devices", modifiedSince=since)), CISCO.login(carrier))
        assert seen.json() == {"pageNumber": 1, "lastPage": True, "devices": []}

    def test_a_modification_moves_a_sim_to_the_end_and_those_behind_it_forward(self, start: Start) -> None:
        with carrier_of(start, "cisco_control_center", sims=50) as (carrier, control):
            before = [sim_id for sim_id, _, _ in read_walk(carrier, CISCO)]
            control.change_sims([10], label="moved")
            after = [sim_id for sim_id, _, _ in read_walk(carrier, CISCO)]
        assert after == [*before[:10], *before[11:], before[10]]

    def test_the_total_of_a_window_is_told_where_the_release_has_it(self, start: Start) -> None:
        with carrier_of(start, "cisco_control_center", sims=100, total_count=True) as (carrier, _):
            told = [seen.json() for seen in pages(carrier, CISCO, page_size=50)]
        assert sum(page["totalCount"] for page in told) == sum(len(page["devices"]) for page in told) == 100

    def test_one_sim_tells_what_the_list_does_not(self, start: Start) -> None:
        with carrier_of(start, "cisco_control_center") as (carrier, control):
            truth = next(control.fetch_sims())
            detail = ask(carrier, Call(f"/rws/api/v1/devices/{truth.sim.iccid}"), CISCO.login(carrier)).json()
            missing = ask(carrier, Call("/rws/api/v1/devices/89"), CISCO.login(carrier))
        assert (detail["imsi"], detail["imei"], f"+{detail['msisdn']}") == (
            truth.sim.imsi,
            truth.sim.imei,
            truth.sim.msisdn,
        )
        assert missing.status == 404


class TestLogins:
    """Bodies of the wrong kind and clients that are not known."""

    @pytest.mark.parametrize(
        ("asked", "status", "error"),
        [
            (("kore_super_sim", "/api-services/v1/auth/token", "json", "{}"), 415, "x-www-form-urlencoded"),
            (("kore_super_sim", "/api-services/v1/auth/token", "x-www-form-urlencoded", "a=b"), 401, "invalid_client"),
            (("one_nce", "/oauth/token", "x-www-form-urlencoded", "a=b"), 415, "application/json"),
            (("one_nce", "/oauth/token", "json", "{}"), 401, "invalid_client"),
            (("one_nce", "/oauth/token", "json", "[]"), 400, "not a JSON object"),
            (("emnify", "/api/v1/authenticate", "json", "{"), 400, "not JSON"),
            (("emnify", "/api/v1/authenticate", "json", '{"application_token": "x"}'), 401, "InvalidApplicationToken"),
            (("emnify", "/api/v1/authenticate", "json", '{"token": "x"}'), 400, "unknown parameter token"),
            (("thingspace", "/api/ts/v1/oauth2/token", "x-www-form-urlencoded", "a=b"), 401, "invalid_client"),
        ],
    )
    def test_a_wrong_login_is_told_why(
        self, start: Start, asked: tuple[str, str, str, str], status: int, error: str
    ) -> None:
        vendor, path, kind, body = asked
        with carrier_of(start, vendor) as (carrier, _):
            headers = {"Content-Type": f"application/{kind}"}
            seen = carrier.send("POST", path, headers=headers, body=body.encode())
        assert seen.status == status
        assert error in seen.body.decode()

    def test_another_grant_is_not_supported(self, start: Start) -> None:
        known = basic_headers(secret("one_nce", "client_id"), secret("one_nce", "client_secret"))
        with carrier_of(start, "one_nce") as (carrier, _):
            seen = ask(carrier, posted("/oauth/token", {"grant_type": "password"}), known)
        assert (seen.status, seen.json()["error"]) == (400, "unsupported_grant_type")

    def test_a_resource_inventory_may_be_open(self, start: Start) -> None:
        with carrier_of(start, "tmf639", authentication=False) as (carrier, control):
            assert ask(carrier, Call("/resource"), {}).status == 200
            assert control.fetch_requests()[0].authentication == "not needed"


class TestEmnify:
    def test_the_list_is_sorted_by_id_and_new_sims_join_at_its_end(self, start: Start) -> None:
        with carrier_of(start, "emnify", sims=30) as (carrier, control):
            control.edit(FleetEdit(add=5, remove=[3]))
            ids = [int(sim_id) for sim_id, _, _ in read_walk(carrier, EMNIFY)]
        assert ids == sorted(ids)
        assert len(ids) == 34


class TestSecrets:
    @pytest.mark.parametrize("vendor", sorted(VENDORS))
    def test_every_vendor_has_simulated_credentials_that_can_be_recognised(self, vendor: str) -> None:
        found = simulated_credentials(vendor)
        assert found.keys() == set(VENDORS[vendor].credential_keys)
        assert all(len(value) >= 12 for value in found.values())

    @pytest.mark.parametrize(("vendor", "lists"), [("hologram", True), ("soracom", True), ("telnyx", False)])
    def test_what_a_vendor_lists_beside_is_marked(self, start: Start, vendor: str, *, lists: bool) -> None:
        with carrier_of(start, vendor, sims=50) as (carrier, _):
            bodies = b"".join(seen.body for seen in pages(carrier, BY_NAME[vendor]))
        assert any(mark.encode() in bodies for mark in SECRET_MARKS) == lists

    def test_no_token_or_key_is_in_the_request_log(self, start: Start) -> None:
        with carrier_of(start, "thingspace") as (carrier, control):
            headers = THINGSPACE.login(carrier)
            ask(carrier, thingspace_page(5), headers)
            log = repr(control.fetch_requests())
        secrets = [*simulated_credentials("thingspace").values(), *(value.split()[-1] for value in headers.values())]
        encoded = [base64.b64encode(value.encode()).decode() for value in secrets]
        assert [value for value in (*secrets, *encoded) if value in log] == []


class TestRest:
    @pytest.mark.parametrize(
        "options",
        [
            {"pagination": "page_number", "records": ""},
            {"pagination": "cursor", "records": ""},
            {"pagination": "next_link", "records": ""},
            {"pagination": "keyset", "records": "", "more": True},
        ],
    )
    def test_a_bare_array_cannot_tell_more(self, options: dict[str, Any]) -> None:
        with pytest.raises(InputError, match="expected records to name the array"):
            SimulatorServer([MountOptions(vendor="rest", options=options)])

    def test_the_path_and_the_header_are_the_mounts_choice(self, start: Start) -> None:
        options = {"path": "/api/cards", "authentication": "header", "header": "X-Acme", "pagination": "offset"}
        with carrier_of(start, "rest", sims=3, **options) as (carrier, _):
            seen = ask(carrier, Call("/api/cards?limit=2"), {"x-acme": secret("rest", "api_key")})
        page = seen.json()
        assert (page["meta"], len(page["data"])) == ({"total": 3}, 2)
        assert json.dumps(page["data"][0]).count(LISTED_SECRET_MARK) == 1
