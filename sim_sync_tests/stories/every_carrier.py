"""What each carrier type needs to be walked in a story: its settings, its simulator's options, its faults.

`CASES` has every connector type; `rest` once for each way of paging that can be declared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sim_sync.simulator.credentials import simulated_credentials
from sim_sync.simulator.faults import ConnectionReset, ErrorStatus, Fault, Throttled, TokenExpiry, Trigger
from sim_sync.simulator.messages import MountOptions
from sim_sync.simulator.vendors.thingspace import DEFAULT_ACCOUNT

SIMS = 10_000
#: How the simulated `rest` carrier calls its fields.
_REST_FIELDS = {
    "sim_id": "id",
    "iccid": "iccid",
    "imsi": "imsi",
    "msisdn": "msisdn",
    "imei": "imei",
    "eid": "eid",
    "status": "state",
    "rate_plan": "plan",
    "ip_address": "ip",
    "label": "name",
    "activated_at": "activated_at",
    "carrier_updated_at": "updated_at",
}
_HAVE_TOKENS = ("kore_super_sim", "emnify", "one_nce", "soracom", "thingspace")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One carrier: its type, the keys of its part of `carriers.yaml`, and the simulator's options.

    `looks_behind` is set where a total alone ends a list of full pages: one request asks whether more stand behind it.
    """

    name: str
    type: str
    looks_behind: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def mount(self, sims: int = SIMS) -> MountOptions:
        """The simulated carrier."""
        return MountOptions(vendor=self.type, sims=sims, options=dict(self.options))

    def carrier(self, base_url: str) -> dict[str, Any]:
        """The carrier's part of `carriers.yaml`."""
        plain: dict[str, Any] = {
            "type": self.type,
            "base_url": base_url,
            "auth": dict(simulated_credentials(self.type)),
            "retry": {"base_seconds": 0.05, "ceiling_seconds": 0.5, "max_attempts": 6},
            # The vendors' own limits would make a story of minutes.
            "rate_limit": {"requests_per_second": 500, "burst": 50},
            "lease_seconds": 5,
        }
        if self.type == "kore_super_sim":
            plain["auth"]["token_url"] = f"{base_url}/api-services/v1/auth/token"
        return plain | dict(self.settings)

    @property
    def faults(self) -> Sequence[tuple[Fault, Trigger]]:
        """What goes wrong on the way, each once: nothing that a sync may not ride out."""
        faults: list[tuple[Fault, Trigger]] = [
            (ErrorStatus(status=503), Trigger(nth=2)),
            (Throttled(wait_seconds=1), Trigger(nth=4)),
            (ConnectionReset(), Trigger(nth=6)),
        ]
        if self.type in _HAVE_TOKENS:
            faults.append((TokenExpiry(), Trigger(nth=8)))
        return faults


def _rest(
    name: str,
    pagination: Mapping[str, Any],
    options: Mapping[str, Any],
    *,
    looks_behind: bool = False,
    **listing: Any,
) -> Case:
    declared = {"path": "/v1/sims", "records": "data", "pagination": dict(pagination)} | listing
    settings = {
        "auth": {"type": "bearer", "token": simulated_credentials("rest")["token"]},
        "page_size": 500,
        "list": declared,
        "fields": _REST_FIELDS,
    }
    return Case(name=f"rest, {name}", type="rest", looks_behind=looks_behind, settings=settings, options=options)


_PAGE_NUMBER = {"type": "page_number", "page_param": "page", "size_param": "per_page"}
_OFFSET = {"type": "offset", "offset_param": "offset", "limit_param": "limit"}

_REST_CASES = [
    _rest(
        "pages with their number",
        _PAGE_NUMBER | {"total_pages": "meta.total_pages"},
        {"total": "total_pages"},
        looks_behind=True,
    ),
    _rest("pages with a total", _PAGE_NUMBER | {"total": "meta.total"}, {"total": "total"}, looks_behind=True),
    _rest(
        "pages with a total in a header",
        _PAGE_NUMBER | {"total": {"header": "X-Total-Count"}},
        {"total": "header"},
        looks_behind=True,
    ),
    _rest("pages with a flag on the last", _PAGE_NUMBER | {"last_page": "meta.last_page"}, {"total": "last_page"}),
    _rest("pages until an empty one", _PAGE_NUMBER, {"total": "none"}),
    _rest(
        "offsets with a total",
        _OFFSET | {"total": "meta.total"},
        {"pagination": "offset", "total": "total"},
        looks_behind=True,
    ),
    _rest("offsets until an empty page", _OFFSET, {"pagination": "offset", "total": "none"}),
    _rest(
        "a link in the body",
        {"type": "next_link", "path": "links.next"},
        {"pagination": "next_link"},
        params={"limit": "500"},
    ),
    _rest(
        "a Link header",
        {"type": "next_link", "header": "Link"},
        {"pagination": "next_link", "place": "header"},
        params={"limit": "500"},
    ),
    _rest(
        "a cursor in the body",
        {"type": "cursor", "path": "meta.next_cursor", "to_query": "cursor"},
        {"pagination": "cursor"},
        params={"limit": "500"},
    ),
    _rest(
        "a cursor in a header",
        {"type": "cursor", "header": "X-Next-Cursor", "to_query": "cursor"},
        {"pagination": "cursor", "place": "header"},
        params={"limit": "500"},
    ),
    _rest(
        "a keyset in a POST body",
        {"type": "keyset", "field": "id", "to_body": "after", "more": "meta.more"},
        {"pagination": "keyset", "more": True, "method": "POST"},
        method="POST",
        body={"limit": 500},
    ),
]

CASES: Sequence[Case] = [
    Case(name="twilio_super_sim", type="twilio_super_sim"),
    Case(name="twilio_wireless", type="twilio_wireless"),
    Case(name="kore_super_sim", type="kore_super_sim"),
    Case(name="telnyx", type="telnyx"),
    Case(name="emnify", type="emnify", settings={"page_size": 500}),
    Case(name="one_nce", type="one_nce"),
    Case(name="hologram", type="hologram"),
    Case(name="soracom", type="soracom"),
    Case(name="cisco_control_center", type="cisco_control_center", settings={"since": "2015-01-01"}),
    Case(name="thingspace", type="thingspace", settings={"page_size": 500, "account": DEFAULT_ACCOUNT}),
    Case(name="tmf639, offsets", type="tmf639"),
    Case(name="tmf639, cursors", type="tmf639", options={"paging": "cursor"}),
    *_REST_CASES,
]
