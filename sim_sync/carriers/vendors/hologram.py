"""Hologram: `GET /api/1/devices` (hologram.io/references/http). One device holds several SIMs, as links."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import SecretStr

from sim_sync.carriers.auth import BasicAuth
from sim_sync.carriers.connector import Connector
from sim_sync.carriers.dialect import Dialect, ErrorInBody, Throttling, body_says
from sim_sync.carriers.messages import Request, Response
from sim_sync.carriers.pagination import CursorInResponse, InBody, ToQuery
from sim_sync.carriers.pagination.rule import flag
from sim_sync.carriers.point_lookup import PointLookup, iccid_of
from sim_sync.carriers.records import RecordMap, list_at
from sim_sync.carriers.settings import CarrierSettings, Credentials
from sim_sync.core.identifiers import NotAnIdentifier
from sim_sync.core.lookups import AskedSim
from sim_sync.core.sims import Lifecycle, StatusMeaning, StatusWords

#: Longer words, as `PAUSED-PENDING-USER`, mean what their listed beginning means.
STATUSES = StatusWords(
    {
        "INACTIVE": StatusMeaning(Lifecycle.INVENTORY),
        "INACTIVE-PENDING": StatusMeaning(Lifecycle.INVENTORY, pending=True),
        "LIVE": StatusMeaning(Lifecycle.ACTIVE),
        "LIVE-PENDING": StatusMeaning(Lifecycle.ACTIVE, pending=True),
        "PAUSED": StatusMeaning(Lifecycle.SUSPENDED),
        "PAUSED-PENDING": StatusMeaning(Lifecycle.SUSPENDED, pending=True),
        "DEAD": StatusMeaning(Lifecycle.TERMINATED),
        "DEAD-PENDING": StatusMeaning(Lifecycle.TERMINATED, pending=True),
    }
)

_CONTINUES = InBody("continues")


class ApiKey(Credentials):
    """An API key of the account."""

    api_key: SecretStr


def list_sims(settings: CarrierSettings) -> CursorInResponse:
    """Walk by `lastid`. The last page has no `continues`; devices that are added during the walk are not in it."""
    return CursorInResponse(
        Request(path="/api/1/devices", params={"limit": str(settings.page_size)}),
        found_in=InBody("lastid"),
        sent_to=ToQuery("startafter"),
        more=_continues,
    )


def _continues(response: Response) -> bool:
    return flag(_CONTINUES, response) is True


def sims_of(device: Any) -> Sequence[Mapping[str, Any]]:
    """Return one record a cellular link, each with its device beside it.

    Raises:
        NotAnIdentifier: the record does not say which links it has.
    """
    links = device.get("links") if isinstance(device, dict) else None
    cellular = links.get("cellular", []) if isinstance(links, dict) else None
    if not isinstance(cellular, list) or not all(isinstance(link, dict) for link in cellular):
        raise NotAnIdentifier("expected a device with its SIMs under links.cellular, found none")
    itself = {key: value for key, value in device.items() if key != "links"}
    return [{**link, "device": itself} for link in cellular]


def _imei(record: Mapping[str, Any]) -> Any:
    device = record["device"]
    return device.get("imei") or device.get("imei_sv")


def _plan(record: Mapping[str, Any]) -> Any:
    """Return the plan's name; some answers have the name alone."""
    plan = record.get("plan")
    return plan.get("name") or plan.get("id") if isinstance(plan, dict) else plan


_devices = list_at("data")


def _by_iccid(asked: AskedSim) -> Request | None:
    iccid = iccid_of(asked)
    return Request(path="/api/1/devices", params={"sim": iccid}) if iccid else None


def _is_empty(response: Response) -> bool:
    body = response.body
    return response.status == 200 and isinstance(body, dict) and body.get("success") is True and body.get("data") == []


#: The list again, of the devices with this ICCID: only there stands the device beside its SIM. None is an empty list.
LOOKUP = PointLookup(request=_by_iccid, records=_devices, not_there=_is_empty)

CONNECTOR = Connector(
    type="hologram",
    base_url="https://dashboard.hologram.io",
    page_size=500,
    auth_model=ApiKey,
    build_auth=lambda settings: BasicAuth("apikey", settings.auth.api_key.get_secret_value()),
    pagination=list_sims,
    records=_devices,
    lookup=lambda _settings: LOOKUP,
    record_map=RecordMap(
        fields={
            "sim_id": "id",
            "iccid": "sim",
            "imsi": "imsi",
            "msisdn": "msisdn",
            "imei": _imei,
            "eid": "eid",
            "status": "state",
            "rate_plan": _plan,
            "label": "device.name",
            "account": "device.orgid",
            "activated_at": "whenclaimed",
        },
        statuses=STATUSES,
        split=sims_of,
        status_by_prefix=True,
    ),
    dialect=Dialect(
        # "Refrain for 5-10 seconds": neither a number nor a header tells more.
        throttling=Throttling(
            told=body_says("success == `false` && contains(to_string(error), 'rate limit')"), default_wait_seconds=10
        ),
        error_in_body=ErrorInBody(sign=body_says("success == `false`")),
    ),
)
