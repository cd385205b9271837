"""The simulated Twilio Super SIM API, measured against the vendor's own OpenAPI file."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_sync.simulator.faults import EarlyEnd, ForeignLink, MalformedRecord, PageFault, RepeatedLink
from sim_sync.simulator.fleet import Fleet, FleetEdit, SimChange
from sim_sync.simulator.fleet_spec import FleetSpec
from sim_sync.simulator.vendor import ListCall, NoOptions, Request, Response, Vendor
from sim_sync.simulator.vendors import VENDORS
from sim_sync_tests.simulator.raw_http import PASSWORD, USERNAME, basic
from sim_sync_tests.simulator.vendor_schema import assert_valid, example_of

SPEC = VENDORS["twilio_super_sim"]
OPENAPI = "twilio/sim_list.openapi.json"
BASE_URL = "http://127.0.0.1:4010/super-sim"


class Carrier:
    """The vendor over a fleet, asked without HTTP."""

    def __init__(self, size: int, *, seed: int = 1, username: str = USERNAME) -> None:
        self.fleet = Fleet(FleetSpec(SPEC.profile, seed), size)
        self.vendor: Vendor = SPEC.build(self.fleet, {"username": username, "password": PASSWORD}, NoOptions())
        self.authorization = basic(username)

    def ask(
        self,
        path: str,
        *,
        method: str = "GET",
        authorization: Mapping[str, str] | None = None,
        fault: PageFault | None = None,
    ) -> Response:
        parts = urlsplit(path)
        headers = {k.lower(): v for k, v in (self.authorization if authorization is None else authorization).items()}
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        return self.vendor.response(Request(method, parts.path, query, headers, b"", BASE_URL, 3), fault)

    def page(self, link: str, fault: PageFault | None = None) -> Any:
        """Return a list page, validated against the vendor's schema."""
        response = self.ask(link.removeprefix(BASE_URL), fault=fault)
        assert response.status == 200
        return assert_valid(OPENAPI, "/v1/Sims", response.body)

    def pages(self, link: str) -> list[Any]:
        """Follow the next links to their end."""
        found, following = [], link
        while following:
            found.append(self.page(following))
            following = found[-1]["meta"]["next_page_url"]
        return found

    def expected_sids(self) -> list[str]:
        indices = self.fleet.live_after(-1, self.fleet.end)
        return [self.vendor.sim_id(self.fleet.sim(index)) for index in indices]


def sids(pages: list[Any]) -> list[str]:
    return [record["sid"] for page in pages for record in page["sims"]]


def assert_error(response: Response, status: int, code: int, message: str) -> None:
    more_info = f"https://www.twilio.com/docs/errors/{code}"
    assert (response.status, response.content_type) == (status, "application/json")
    expected = {"code": code, "message": message, "more_info": more_info, "status": status}
    assert json.loads(response.body) == expected


class TestListing:
    @given(st.integers(0, 60), st.integers(1, 70), st.lists(st.integers(0, 59), unique=True), st.integers(0, 5))
    def test_a_walk_lists_each_sim_once_for_any_page_size(
        self, size: int, page_size: int, removed: list[int], added: int
    ) -> None:
        carrier = Carrier(size)
        carrier.fleet.edit(FleetEdit(add=added, remove=[index for index in removed if index < size]))
        pages = carrier.pages(f"/v1/Sims?PageSize={page_size}")
        assert sids(pages) == carrier.expected_sids()
        assert [len(page["sims"]) for page in pages[:-1]] == [page_size] * (len(pages) - 1)
        assert [page["meta"]["page"] for page in pages] == list(range(len(pages)))

    def test_a_page_has_exactly_the_fields_of_the_vendors_example(self) -> None:
        page = Carrier(3).page("/v1/Sims?PageSize=1")
        example = example_of(OPENAPI, "/v1/Sims", "readFullByFleetSid")
        assert page["meta"].keys() == example["meta"].keys()
        assert page["sims"][0].keys() == example["sims"][0].keys()
        assert page["sims"][0]["links"].keys() == example["sims"][0]["links"].keys()

    def test_the_first_page_as_a_whole(self) -> None:
        carrier = Carrier(3)
        sid = carrier.vendor.sim_id(carrier.fleet.sim(0))
        url = f"{BASE_URL}/v1/Sims/{sid}"
        page = carrier.page("/v1/Sims?PageSize=1")
        assert page == {
            "sims": [
                {
                    "sid": sid,
                    "unique_name": "sim-0000000",
                    "account_sid": USERNAME,
                    "iccid": carrier.fleet.sim(0).iccid,
                    "status": "active",
                    "fleet_sid": page["sims"][0]["fleet_sid"],
                    "date_created": f"{carrier.fleet.sim(0).created_at:%Y-%m-%dT%H:%M:%SZ}",
                    "date_updated": f"{carrier.fleet.sim(0).updated_at:%Y-%m-%dT%H:%M:%SZ}",
                    "url": url,
                    "links": {"billing_periods": f"{url}/BillingPeriods", "sim_ip_addresses": f"{url}/IpAddresses"},
                }
            ],
            "meta": {
                "first_page_url": f"{BASE_URL}/v1/Sims?PageSize=1&Page=0",
                "key": "sims",
                "next_page_url": page["meta"]["next_page_url"],
                "page": 0,
                "page_size": 1,
                "previous_page_url": None,
                "url": f"{BASE_URL}/v1/Sims?PageSize=1&Page=0",
            },
        }
        assert page["meta"]["next_page_url"].startswith(f"{BASE_URL}/v1/Sims?PageSize=1&Page=1&PageToken=PA")

    def test_pages_hold_fifty_sims_unless_asked_otherwise(self) -> None:
        page = Carrier(60).page("/v1/Sims")
        assert (len(page["sims"]), page["meta"]["page_size"]) == (50, 50)

    def test_the_link_is_null_exactly_on_the_last_page_even_when_that_is_full(self) -> None:
        assert [len(page["sims"]) for page in Carrier(20).pages("/v1/Sims?PageSize=10")] == [10, 10]

    def test_an_empty_account_lists_an_empty_page(self) -> None:
        meta = Carrier(0).page("/v1/Sims")["meta"]
        assert (meta["next_page_url"], meta["previous_page_url"]) == (None, None)

    @given(st.integers(1, 40), st.integers(1, 12))
    def test_previous_links_lead_back_over_the_same_sims(self, size: int, page_size: int) -> None:
        carrier = Carrier(size)
        forward = carrier.pages(f"/v1/Sims?PageSize={page_size}")
        link, backward = forward[-1]["meta"]["previous_page_url"], [forward[-1]]
        while link:
            backward.insert(0, carrier.page(link))
            link = backward[0]["meta"]["previous_page_url"]
        assert sids(backward) == carrier.expected_sids()

    def test_a_page_reached_backwards_leads_forward_again(self) -> None:
        carrier = Carrier(30)
        second = carrier.page(carrier.page("/v1/Sims?PageSize=10")["meta"]["next_page_url"])
        first = carrier.page(second["meta"]["previous_page_url"])
        assert carrier.page(first["meta"]["next_page_url"])["sims"] == second["sims"]

    def test_edits_during_a_walk_neither_hide_nor_repeat_a_sim_that_stays(self) -> None:
        carrier = Carrier(30)
        first = carrier.page("/v1/Sims?PageSize=10")
        carrier.fleet.edit(FleetEdit(add=2, remove=[0, 9, 10, 11], change=[SimChange([20], {"label": "moved"})]))
        rest = carrier.pages(first["meta"]["next_page_url"])
        expected = [carrier.vendor.sim_id(carrier.fleet.sim(index)) for index in [*range(10), *range(12, 32)]]
        assert sids([first, *rest]) == expected
        assert [r["unique_name"] for page in rest for r in page["sims"]].count("moved") == 1

    def test_a_token_stays_good_when_the_simulator_is_started_again(self) -> None:
        link = Carrier(30).page("/v1/Sims?PageSize=10")["meta"]["next_page_url"]
        again = Carrier(30)
        assert sids([again.page(link)]) == again.expected_sids()[10:20]


class TestRecords:
    @given(st.integers(0, 10**6))
    def test_a_changed_sim_is_written_like_an_unchanged_one(self, index: int) -> None:
        """There is a quick way to write the many SIMs that nobody changed; it must not differ."""
        carrier = Carrier(10**6 + 1)
        sid = carrier.vendor.sim_id(carrier.fleet.sim(index))
        quick = assert_valid(OPENAPI, "/v1/Sims/{Sid}", carrier.ask(f"/v1/Sims/{sid}").body)
        carrier.fleet.edit(FleetEdit(change=[SimChange([index], {"label": carrier.fleet.sim(index).label})]))
        changed = assert_valid(OPENAPI, "/v1/Sims/{Sid}", carrier.ask(f"/v1/Sims/{sid}").body)
        assert changed == quick | {"date_updated": "2026-01-01T00:00:01Z"}

    def test_values_from_edits_arrive_as_they_are(self) -> None:
        carrier = Carrier(2)
        fields = {"label": 'Ünï "quoted" \\ 100%s', "iccid": None, "vendor_status": "scheduled", "rate_plan": None}
        carrier.fleet.edit(FleetEdit(change=[SimChange([1], fields)]))
        record = carrier.page("/v1/Sims")["sims"][1]
        assert {key: record[key] for key in ("unique_name", "iccid", "status", "fleet_sid")} == {
            "unique_name": 'Ünï "quoted" \\ 100%s',
            "iccid": None,
            "status": "scheduled",
            "fleet_sid": None,
        }

    def test_records_agree_with_the_fleet(self) -> None:
        carrier = Carrier(300)
        words = {"inventory": "new", "activation_ready": "ready", "active": "active", "deactivated": "inactive"}
        for record, index in zip(carrier.page("/v1/Sims?PageSize=1000")["sims"], range(300), strict=True):
            sim = carrier.fleet.sim(index)
            assert record["iccid"] == sim.iccid
            assert record["status"] == words[sim.status] == carrier.vendor.carrier_status(sim)
            assert record["unique_name"] == sim.label
            assert (record["fleet_sid"] is None) == (sim.status == "inventory")

    def test_the_list_tells_no_imsi_msisdn_imei_or_plan(self) -> None:
        carrier = Carrier(1)
        sim = carrier.fleet.sim(0)
        body = carrier.ask("/v1/Sims").body.decode()
        assert [value for value in (sim.imsi, sim.msisdn, sim.imei, sim.eid, sim.rate_plan) if str(value) in body] == []

    def test_an_api_keys_username_does_not_become_the_account(self) -> None:
        record = Carrier(1, username="SK" + "0" * 32).page("/v1/Sims")["sims"][0]
        assert record["account_sid"].startswith("AC")


class TestOneSim:
    def test_a_sim_is_fetched_by_its_sid(self) -> None:
        carrier = Carrier(20)
        listed = carrier.page("/v1/Sims")["sims"][7]
        response = carrier.ask(f"/v1/Sims/{listed['sid']}")
        assert assert_valid(OPENAPI, "/v1/Sims/{Sid}", response.body) == listed

    @pytest.mark.parametrize("sid", ["HS" + "0" * 32, "HS", "nonsense", "AC" + "0" * 32])
    def test_a_sid_that_no_sim_has_is_not_found(self, sid: str) -> None:
        path = f"/v1/Sims/{sid}"
        assert_error(Carrier(20).ask(path), 404, 20404, f"The requested resource {path} was not found")

    def test_a_removed_sim_is_not_found(self) -> None:
        carrier = Carrier(20)
        path = f"/v1/Sims/{carrier.expected_sids()[7]}"
        carrier.fleet.edit(FleetEdit(remove=[7]))
        assert_error(carrier.ask(path), 404, 20404, f"The requested resource {path} was not found")


class TestFilters:
    @given(st.sampled_from(["new", "ready", "active", "inactive", "scheduled"]), st.integers(1, 300))
    def test_a_status_filter_lists_all_sims_of_that_status_in_order(self, status: str, page_size: int) -> None:
        carrier = Carrier(200)
        carrier.fleet.edit(FleetEdit(change=[SimChange([5, 6], {"vendor_status": "scheduled"})]))
        sims = [carrier.fleet.sim(index) for index in range(200)]
        expected = [carrier.vendor.sim_id(sim) for sim in sims if carrier.vendor.carrier_status(sim) == status]
        pages = carrier.pages(f"/v1/Sims?Status={status}&PageSize={page_size}")
        assert sids(pages) == expected
        assert all(f"Status={status}&" in page["meta"]["url"] for page in pages)

    def test_a_fleet_is_named_by_its_sid_or_its_name(self) -> None:
        carrier = Carrier(100)
        records = carrier.page("/v1/Sims?PageSize=1000")["sims"]
        sid = next(record["fleet_sid"] for record in records if record["fleet_sid"])
        index = next(i for i in range(100) if records[i]["fleet_sid"] == sid)
        name = carrier.fleet.sim(index).rate_plan
        expected = [record["sid"] for record in records if record["fleet_sid"] == sid]
        assert sids(carrier.pages(f"/v1/Sims?Fleet={sid}&PageSize=7")) == expected
        assert sids(carrier.pages(f"/v1/Sims?Fleet={name}&PageSize=7")) == expected

    def test_an_iccid_filter_lists_one_sim_or_none(self) -> None:
        carrier = Carrier(1_000_000)
        sim = carrier.fleet.sim(765_432)
        page = carrier.page(f"/v1/Sims?Iccid={sim.iccid}")
        assert sids([page]) == [carrier.vendor.sim_id(sim)]
        assert page["meta"]["next_page_url"] is None
        assert sids([carrier.page("/v1/Sims?Iccid=89883070000000000000")]) == []
        other = "inactive" if sim.status == "active" else "active"
        assert sids([carrier.page(f"/v1/Sims?Iccid={sim.iccid}&Status={other}")]) == []


class TestRefusals:
    @pytest.mark.parametrize("path", ["/v1/Sims", "/v1/Sims/HS1", "/v1/Nothing"])
    def test_wrong_credentials_are_refused_on_every_path(self, path: str) -> None:
        carrier = Carrier(1)
        for wrong in (basic(password="x"), basic(username="x"), {"Authorization": "Basic %%%"}, _bearer()):
            response = carrier.ask(path, authorization=wrong)
            assert_error(response, 401, 20003, "Authenticate")
            assert response.headers["WWW-Authenticate"] == 'Basic realm="Twilio API"'

    def test_missing_credentials_are_refused(self) -> None:
        response = Carrier(1).ask("/v1/Sims", authorization={})
        assert_error(response, 401, 20003, "Authentication Error - No credentials provided")

    @pytest.mark.parametrize(
        "path", ["/", "/v1", "/v1/sims", "/v1/Sims/", "/v1/Sims.json", "/v1/Sims/HS1/x", "/v2/Sims"]
    )
    def test_an_unknown_path_is_not_found(self, path: str) -> None:
        assert_error(Carrier(1).ask(path), 404, 20404, f"The requested resource {path} was not found")

    def test_only_get_is_served(self) -> None:
        assert_error(Carrier(1).ask("/v1/Sims", method="POST"), 405, 20004, "Method Not Allowed")

    @pytest.mark.parametrize("size", ["0", "1001", "-1", "x", "", "1.5", "²"])
    def test_a_page_size_outside_1_to_1000_is_refused(self, size: str) -> None:
        response = Carrier(1).ask(f"/v1/Sims?PageSize={size}")
        assert_error(response, 400, 20001, "PageSize must be an integer from 1 to 1000.")

    @pytest.mark.parametrize("size", [1, 1000])
    def test_the_smallest_and_the_largest_page_size_are_served(self, size: int) -> None:
        assert Carrier(3).page(f"/v1/Sims?PageSize={size}")["meta"]["page_size"] == size

    def test_a_page_number_alone_is_refused(self) -> None:
        assert_error(Carrier(90).ask("/v1/Sims?Page=1"), 400, 20001, "PageToken is required for paging.")

    def test_a_page_number_below_zero_is_refused(self) -> None:
        response = Carrier(90).ask("/v1/Sims?Page=-1")
        assert_error(response, 400, 20001, "Page must be an integer from 0 to 2147483647.")

    @given(st.one_of(st.text(min_size=1), st.from_regex(r"P[AB][0-9a-f]{16}", fullmatch=True)))
    def test_a_token_that_the_carrier_never_gave_out_is_refused(self, token: str) -> None:
        carrier = Carrier(90)
        query, headers = {"PageToken": token}, {"authorization": basic()["Authorization"]}
        response = carrier.vendor.response(Request("GET", "/v1/Sims", query, headers, b"", BASE_URL))
        assert_error(response, 400, 20001, "PageToken is invalid.")

    def test_a_token_of_another_fleet_is_refused(self) -> None:
        link = Carrier(90, seed=1).page("/v1/Sims")["meta"]["next_page_url"].removeprefix(BASE_URL)
        assert_error(Carrier(90, seed=2).ask(link), 400, 20001, "PageToken is invalid.")

    def test_an_unknown_status_filter_is_refused(self) -> None:
        message = "Status must be one of new, ready, active, inactive, scheduled."
        assert_error(Carrier(1).ask("/v1/Sims?Status=asleep"), 400, 20001, message)

    @pytest.mark.parametrize(
        ("status", "code", "message"),
        [
            (401, 20003, "Authenticate"),
            (429, 20429, "Too Many Requests"),
            (500, 20500, "Internal Server Error"),
            (503, 20503, "Service Unavailable"),
        ],
    )
    def test_failures_have_the_vendors_shape(self, status: int, code: int, message: str) -> None:
        assert_error(Carrier(1).vendor.failure(status), status, code, message)

    def test_a_bad_gateway_answers_html(self) -> None:
        response = Carrier(1).vendor.failure(502)
        assert (response.status, response.content_type) == (502, "text/html")


class TestPageFaults:
    def test_an_early_end_keeps_all_half_or_none_of_the_page_and_gives_no_link(self) -> None:
        carrier = Carrier(30)
        for kept, count in (("all", 10), ("half", 5), ("none", 0)):
            page = carrier.page("/v1/Sims?PageSize=10", EarlyEnd(records_kept=kept))  # type: ignore[arg-type]  # its words
            assert (len(page["sims"]), page["meta"]["next_page_url"]) == (count, None)

    def test_a_repeated_link_leads_to_its_own_page(self) -> None:
        carrier = Carrier(30)
        link = carrier.page("/v1/Sims?PageSize=10")["meta"]["next_page_url"]
        assert carrier.page(link, RepeatedLink())["meta"]["next_page_url"] == link

    def test_a_foreign_link_leads_to_the_same_page_of_another_origin(self) -> None:
        carrier = Carrier(30)
        honest = carrier.page("/v1/Sims?PageSize=10")["meta"]["next_page_url"]
        foreign = carrier.page("/v1/Sims?PageSize=10", ForeignLink(origin="http://evil.example"))["meta"]
        assert foreign["next_page_url"] == honest.replace("http://127.0.0.1:4010", "http://evil.example")

    @pytest.mark.parametrize("position", [0, 2, 4, 99])
    def test_a_malformed_record_is_the_only_one_that_differs(self, position: int) -> None:
        carrier = Carrier(5)
        honest = carrier.page("/v1/Sims")["sims"]
        place = min(position, 4)
        spoiled = {
            "no_id": {key: value for key, value in honest[place].items() if key != "sid"},
            "not_an_object": place,
            "null_iccid": honest[place] | {"iccid": None},
        }
        for form, record in spoiled.items():
            fault = MalformedRecord(position=position, form=form)  # type: ignore[arg-type]  # the words of the field
            page = json.loads(carrier.ask("/v1/Sims", fault=fault).body)
            assert page["sims"] == [*honest[:place], record, *honest[place + 1 :]]


class TestListCalls:
    def list_call(self, method: str, path: str, **query: str) -> ListCall | None:
        return Carrier(1).vendor.list_call(Request(method, path, query, {}, b"", BASE_URL))

    def test_a_list_call_tells_its_token_and_its_page_number(self) -> None:
        assert self.list_call("GET", "/v1/Sims") == ListCall(None, 0)
        assert self.list_call("GET", "/v1/Sims", PageToken="PA1", Page="4") == ListCall("PA1", 4)
        assert self.list_call("GET", "/v1/Sims", Page="x") == ListCall(None, None)

    def test_other_requests_are_no_list_calls(self) -> None:
        assert self.list_call("GET", "/v1/Sims/HS1") is None
        assert self.list_call("POST", "/v1/Sims") is None


def _bearer() -> dict[str, str]:
    return {"Authorization": basic()["Authorization"].replace("Basic", "Bearer")}
