"""TM Forum's Resource Inventory (TMF639 v5): `GET /resource`, as mobile operators offer it for SIMs.

The standard leaves much to the implementer: AT&T's words are listed beside its own, more can be given in `statuses`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pydantic import SecretStr

from sim_sync.carriers.auth import Authorizer, BearerAuth, NoAuth
from sim_sync.carriers.connector import Connector, totals_at
from sim_sync.carriers.messages import Request, Response
from sim_sync.carriers.pagination import InHeader, Offset, Pagination, PathOf
from sim_sync.carriers.pagination.links import next_link, request_by_link
from sim_sync.carriers.pagination.positional import is_repeated, page_digest
from sim_sync.carriers.pagination.rule import whole_number
from sim_sync.carriers.records import RecordMap, array_in_body
from sim_sync.carriers.settings import CarrierSettings, Credentials
from sim_sync.core.pages import Cursor
from sim_sync.core.sims import Lifecycle, StatusMeaning, StatusWords

STATUSES = StatusWords(
    {word.value: StatusMeaning(word) for word in Lifecycle}
    | {
        # AT&T MVNx
        "A": StatusMeaning(Lifecycle.INVENTORY),
        "R": StatusMeaning(Lifecycle.INVENTORY),
        "L": StatusMeaning(Lifecycle.INVENTORY),
        "U": StatusMeaning(Lifecycle.ACTIVE),
        "G": StatusMeaning(Lifecycle.DEACTIVATED),
        "Z": StatusMeaning(Lifecycle.TERMINATED),
        # resourceStatus of the standard's version 4
        "available": StatusMeaning(Lifecycle.INVENTORY),
        "reserved": StatusMeaning(Lifecycle.INVENTORY),
        "standby": StatusMeaning(Lifecycle.SUSPENDED),
        # administrativeState of version 5 (ITU-T X.731)
        "unlocked": StatusMeaning(Lifecycle.ACTIVE),
        "locked": StatusMeaning(Lifecycle.SUSPENDED),
        "shuttingDown": StatusMeaning(Lifecycle.SUSPENDED, pending=True),
    }
)

RECORDS_TOTAL = InHeader("X-Total-Count")


class Token(Credentials):
    """A bearer token, where the server asks for one."""

    token: SecretStr | None = None


def token_auth(settings: CarrierSettings) -> Authorizer:
    """Send the token, if there is one."""
    token: SecretStr | None = settings.auth.token
    return NoAuth() if token is None else BearerAuth(token.get_secret_value())


@dataclass(frozen=True, slots=True)
class OffsetOrAfter(Pagination):
    """By offset and limit; where the server's `Link` header leads on with `after`, by that.

    Without `X-Total-Count`, a server that has given a next link ends the list by giving none; otherwise an empty page
    is the end.
    """

    offset: Offset

    def request(self, cursor: Cursor) -> Request:
        """Return the request for the rows from an offset on, or for what the server's link leads to."""
        if "next" in cursor:
            return request_by_link(self.offset.request({}), cursor)
        return self.offset.request(cursor)

    def ahead(self, cursor: Cursor, following: Cursor) -> Iterator[Cursor]:
        """Yield offset after offset; where a link leads is only told by its page."""
        return iter(()) if "next" in following else self.offset.ahead(cursor, following)

    def is_reread(self, cursor: Cursor) -> bool:
        """Return whether the rows at an offset were read before."""
        return self.offset.is_reread(cursor)

    def is_handed_out(self, cursor: Cursor) -> bool:
        """Return whether the cursor is the server's own link."""
        return "next" in cursor

    def next_cursor(self, cursor: Cursor, response: Response, path_of: PathOf) -> Cursor | None:
        """Return the next offset, or the server's link."""
        url = next_link(response.headers.get("link", ""))
        if url is not None and "after" in parse_qs(urlsplit(url).query):
            return {"next": path_of(url)}
        if "next" in cursor:
            return None
        total = whole_number(RECORDS_TOTAL, response)
        records = array_in_body(response)
        digest = page_digest(records) if total is None else None
        # A server that knows no offset gives a list of one page again, which has no next link either.
        if digest is not None and url is None and (cursor.get("linked") or is_repeated(cursor, digest)):
            return None
        found = self.offset.after(cursor, len(records), total)
        if found is None:
            return None
        remembered = {"held": digest, "linked": True if url is not None else None}
        return {**found, **{name: value for name, value in remembered.items() if value is not None}}


def list_resources(settings: CarrierSettings) -> OffsetOrAfter:
    """Walk the whole inventory."""
    return OffsetOrAfter(
        Offset(
            base=Request(path="/resource"),
            records=array_in_body,
            offset_param="offset",
            limit_param="limit",
            page_size=settings.page_size,
        )
    )


#: A key that `with_characteristics` adds to a record, and that no resource has.
_NAMED = "characteristics_by_name"


def with_characteristics(resource: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the resource with its characteristics by their names, whose case varies."""
    listed = resource.get("resourceCharacteristic")
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    named = {str(entry.get("name")).lower(): entry.get("value") for entry in reversed(entries)}
    return [{**resource, _NAMED: named}]


def _iccid_of(record: Mapping[str, Any]) -> Any:
    """Return the ICCID: a characteristic, or the id of a resource whose id it is (AT&T)."""
    found = record[_NAMED].get("iccid")
    if found is not None:
        return found
    name = str(record.get("id") or "")
    return name if name.startswith("89") and name.isdigit() and 18 <= len(name) <= 22 else record.get("value")


def _status_of(record: Mapping[str, Any]) -> Any:
    return record.get("resourceStatus") or record[_NAMED].get("status") or record.get("administrativeState")


CONNECTOR = Connector(
    type="tmf639",
    base_url=None,
    page_size=100,
    auth_model=Token,
    build_auth=token_auth,
    pagination=list_resources,
    records=array_in_body,
    totals=totals_at(records=RECORDS_TOTAL),
    record_map=RecordMap(
        fields={
            "sim_id": "id",
            "iccid": _iccid_of,
            "imsi": f"{_NAMED}.imsi",
            "msisdn": f"{_NAMED}.msisdn",
            "imei": f"{_NAMED}.imei",
            "eid": f"{_NAMED}.eid",
            "status": _status_of,
            "rate_plan": f"{_NAMED}.rateplan",
            "ip_address": f"{_NAMED}.ipaddress",
            "label": "name",
            "activated_at": "startOperatingDate",
        },
        statuses=STATUSES,
        ignored=frozenset({"href", _NAMED}),
        split=with_characteristics,
    ),
)
