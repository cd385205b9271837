"""Verizon ThingSpace: `POST /api/m2m/v1/devices/actions/list` (thingspace.verizon.com). Two logins, ids by kind."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field, SecretStr

from sim_sync.carriers.connector import Connector
from sim_sync.carriers.dialect import Dialect, body_says
from sim_sync.carriers.logins import ClientAuth, ClientCredentials, JsonLogin, LoginChain, TokenAuth
from sim_sync.carriers.messages import Request, Response
from sim_sync.carriers.pagination import InBody, Keyset, ToBody
from sim_sync.carriers.pagination.rule import flag
from sim_sync.carriers.point_lookup import PointLookup, iccid_of
from sim_sync.carriers.records import RecordMap, list_at
from sim_sync.carriers.settings import CarrierSettings, Credentials, Options
from sim_sync.core.lookups import AskedSim
from sim_sync.core.sims import Lifecycle, StatusMeaning, StatusWords

#: The vendor's pages and its answers spell them differently.
STATUSES = StatusWords(
    {
        "active": StatusMeaning(Lifecycle.ACTIVE),
        "activate": StatusMeaning(Lifecycle.ACTIVE),
        "suspend": StatusMeaning(Lifecycle.SUSPENDED),
        "suspended": StatusMeaning(Lifecycle.SUSPENDED),
        "deactive": StatusMeaning(Lifecycle.DEACTIVATED),
        "deactivated": StatusMeaning(Lifecycle.DEACTIVATED),
        "pre-active": StatusMeaning(Lifecycle.ACTIVATION_READY),
        "preactive": StatusMeaning(Lifecycle.ACTIVATION_READY),
    }
)

devices = list_at("devices")
_HAS_MORE = InBody("hasMoreData")
#: Keys that `with_ids` adds to a record, and that no device has.
_IDS, _CARRIER = "ids_by_kind", "carrier_information"
_session_is_over = body_says("contains(to_string(errorCode), 'SessionToken')")


class AccountKeys(Credentials):
    """An application's key and secret, and a user of the account (five bad logins lock it)."""

    client_id: str
    client_secret: SecretStr
    username: str
    password: SecretStr


class Account(Options):
    """`account` is text: its leading zeros matter."""

    account: str = Field(min_length=1)


def two_logins(settings: CarrierSettings) -> TokenAuth:
    """Get an OAuth2 token, and with it a session, which dies after 20 minutes without a request."""
    keys = settings.auth
    password = keys.password.get_secret_value()
    application = ClientCredentials(
        token_url="/api/ts/v1/oauth2/token",  # noqa: S106 - a path
        client_id=keys.client_id,
        client_secret=keys.client_secret.get_secret_value(),
        client_auth=ClientAuth.BASIC_FORM,
    )
    session = JsonLogin(
        path="/api/m2m/v1/session/login",
        body={"username": keys.username, "password": password},
        hidden=[password],
        tokens={"sessionToken": "sessionToken"},
        headers={"VZ-M2M-Token": "{sessionToken}"},
        idle_seconds=1200,
    )
    return TokenAuth(LoginChain([application, session]))


def list_devices(settings: CarrierSettings) -> Keyset:
    """Walk by the id of the last device; sending one also sorts the list by it."""
    body = {"accountName": settings.options.account, "maxNumberOfDevices": settings.page_size}
    return Keyset(
        first=Request(method="POST", path="/api/m2m/v1/devices/actions/list", body=body),
        records=devices,
        key=_device_id,
        key_name="the extended attribute DeviceId",
        sent_to=ToBody("largestDeviceIdSeen"),
        more=_has_more,
    )


def _has_more(response: Response) -> bool:
    """Read `hasMoreData`; a page that comes as 202 without it is not the last one."""
    told = flag(_HAS_MORE, response)
    return response.status == 202 if told is None else told


def _device_id(device: Any) -> Any:
    attributes = device.get("extendedAttributes") if isinstance(device, dict) else None
    for attribute in attributes if isinstance(attributes, list) else []:
        if isinstance(attribute, dict) and attribute.get("key") == "DeviceId":
            value = attribute.get("value")
            return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
    return None


def with_ids(device: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the device with its ids by kind, whose spelling varies, and the carrier's information beside it."""
    listed, told = device.get("deviceIds"), device.get("carrierInformations")
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    ids = {str(entry.get("kind")).lower(): entry.get("id") for entry in reversed(entries)}
    ids["number"] = ids.get("msisdn") or ids.get("mdn")
    return [{**device, _IDS: ids, _CARRIER: told[0] if isinstance(told, list) and told else None}]


def lookup_device(settings: CarrierSettings) -> PointLookup:
    """Ask for the list of the one device with an ICCID; it is not there by an empty list, or by an error code."""

    def request(asked: AskedSim) -> Request | None:
        iccid = iccid_of(asked)
        body = {"accountName": settings.options.account, "deviceId": {"id": iccid, "kind": "iccid"}}
        return Request(method="POST", path="/api/m2m/v1/devices/actions/list", body=body) if iccid else None

    return PointLookup(request=request, records=devices, not_there=_is_not_there)


def _is_not_there(response: Response) -> bool:
    if not isinstance(response.body, dict):
        return False
    if 200 <= response.status < 300:
        return response.body.get("devices") == [] and not _has_more(response)
    return str(response.body.get("errorCode")).endswith("REQUEST_FAILED.DeviceNotFound")


CONNECTOR = Connector(
    type="thingspace",
    base_url="https://thingspace.verizon.com",
    page_size=2000,
    max_page_size=2000,
    auth_model=AccountKeys,
    options_model=Account,
    build_auth=two_logins,
    pagination=list_devices,
    records=devices,
    lookup=lookup_device,
    record_map=RecordMap(
        fields={
            "iccid": f"{_IDS}.iccid",
            "imsi": f"{_IDS}.imsi",
            "msisdn": f"{_IDS}.number",
            "imei": f"{_IDS}.imei",
            "eid": f"{_IDS}.eid",
            "status": f"{_CARRIER}.state",
            "rate_plan": f"{_CARRIER}.servicePlan",
            "ip_address": "ipAddress",
            "account": "accountName",
            "activated_at": "lastActivationDate",
        },
        statuses=STATUSES,
        ignored=frozenset({_IDS, _CARRIER}),
        split=with_ids,
        msisdn_region="US",
    ),
    # A session that is over may also be told as a 400.
    dialect=Dialect(credentials_expired=lambda response: response.status == 401 or _session_is_over(response)),
)
