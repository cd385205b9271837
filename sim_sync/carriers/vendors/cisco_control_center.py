"""Cisco IoT Control Center (Jasper): `GET /rws/api/v1/devices`, sorted by time of modification.

Each operator has its own host. The list has the ICCID, the status and the two plans, and no id of its own.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, SecretStr

from sim_sync.carriers.auth import BasicAuth
from sim_sync.carriers.connector import Connector
from sim_sync.carriers.dialect import Dialect, Throttling, body_says
from sim_sync.carriers.messages import Request, Response
from sim_sync.carriers.pagination import InBody, PageNumber
from sim_sync.carriers.pagination.windows import Windows
from sim_sync.carriers.point_lookup import PointLookup, answered_with, get_by_iccid, object_in_body
from sim_sync.carriers.records import RecordMap, list_at
from sim_sync.carriers.settings import CarrierSettings, Credentials, Options, RateLimit
from sim_sync.core.sims import Lifecycle, StatusMeaning, StatusWords

#: There is no word for a suspended SIM; operators add words of their own.
STATUSES = StatusWords(
    {
        "INVENTORY": StatusMeaning(Lifecycle.INVENTORY),
        "TEST_READY": StatusMeaning(Lifecycle.TEST_READY),
        "ACTIVATION_READY": StatusMeaning(Lifecycle.ACTIVATION_READY),
        "ACTIVATED": StatusMeaning(Lifecycle.ACTIVE),
        "DEACTIVATED": StatusMeaning(Lifecycle.DEACTIVATED),
        "RETIRED": StatusMeaning(Lifecycle.TERMINATED),
        "PURGED": StatusMeaning(Lifecycle.TERMINATED),
        "REPLACED": StatusMeaning(Lifecycle.REPLACED),
    }
)

devices = list_at("devices")


class ApiUser(Credentials):
    """A user of the operator's portal, and the API key that the portal shows for it."""

    username: str
    api_key: SecretStr


def _in_utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


class WalkOptions(Options):
    """`since` is when the account's first SIM was last modified at the earliest; later is fewer requests."""

    since: Annotated[datetime, AfterValidator(_in_utc)] = datetime(2000, 1, 1, tzinfo=UTC)


def _now() -> datetime:
    return datetime.now(UTC)


def list_devices(settings: CarrierSettings, now: Callable[[], datetime] = _now) -> Windows:
    """Walk windows of at most a year from `since` to now, each by page number up to `lastPage`."""
    pages = PageNumber(
        base=Request(path="/rws/api/v1/devices"),
        records=devices,
        page_param="pageNumber",
        size_param="pageSize",
        page_size=settings.page_size,
        last_page=InBody("lastPage"),
        total=InBody("totalCount"),  # not every operator tells it
    )
    return Windows(
        pages=pages,
        put=_with_window,
        since=settings.options.since,
        started=now(),
        now=now,
        longest=timedelta(days=365),
    )


def _with_window(request: Request, since: str, till: str) -> Request:
    return replace(request, params={"modifiedSince": since, "modifiedTill": till, **request.params})


#: What a device of the list has; asked for alone, it has more.
_LISTED = frozenset({"iccid", "status", "ratePlan", "communicationPlan"})


def as_listed(response: Response) -> list[Any]:
    """Return the one device in an answer as the list has it: a lookup must not write what a page does not."""
    return [{key: value for key, value in device.items() if key in _LISTED} for device in object_in_body(response)]


#: `GET /rws/api/v1/devices/{iccid}`; "Resource not found - Invalid ICCID" is a 404 with the code 20000001.
LOOKUP = PointLookup(
    request=get_by_iccid("/rws/api/v1/devices"),
    records=as_listed,
    not_there=answered_with(404, lambda body: str(body.get("errorCode")) == "20000001"),
)

CONNECTOR = Connector(
    type="cisco_control_center",
    base_url=None,
    page_size=50,
    max_page_size=50,
    rate_limit=RateLimit(requests_per_second=5, max_in_flight=1),
    auth_model=ApiUser,
    options_model=WalkOptions,
    build_auth=lambda settings: BasicAuth(settings.auth.username, settings.auth.api_key.get_secret_value()),
    pagination=list_devices,
    pages_overlap=True,  # windows do, by a minute, and a SIM that is modified comes again in a later one
    records=devices,
    record_map=RecordMap(
        fields={"iccid": "iccid", "status": "status", "rate_plan": "ratePlan"},
        statuses=STATUSES,
    ),
    lookup=lambda _settings: LOOKUP,
    # "License has exceeded the rate limit for API calls", whatever the status.
    dialect=Dialect(
        throttling=Throttling(
            statuses=frozenset({429, 503, 504}),  # what the vendor's own sample takes for it
            told=body_says("to_string(errorCode) == '400101'"),
        )
    ),
)
