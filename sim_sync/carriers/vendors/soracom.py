"""Soracom: `GET /v1/sims` (`soracom-sandbox-api.en.yaml`). Japan and global coverage are two hosts: two carriers."""

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from sim_sync.carriers.connector import Connector
from sim_sync.carriers.dialect import Dialect, Throttling, wait_header
from sim_sync.carriers.json_bodies import Lookup
from sim_sync.carriers.logins import JsonLogin, TokenAuth
from sim_sync.carriers.messages import Request
from sim_sync.carriers.pagination import CursorInResponse, InHeader, ToQuery
from sim_sync.carriers.point_lookup import PointLookup, answered_with, get_by_id, object_in_body
from sim_sync.carriers.records import RecordMap, array_in_body
from sim_sync.carriers.settings import CarrierSettings, Credentials
from sim_sync.carriers.waits import throttled_wait
from sim_sync.core.sims import Lifecycle, StatusMeaning, StatusWords

STATUSES = StatusWords(
    {
        "instock": StatusMeaning(Lifecycle.INVENTORY),
        "shipped": StatusMeaning(Lifecycle.INVENTORY),
        "ready": StatusMeaning(Lifecycle.ACTIVATION_READY),
        "active": StatusMeaning(Lifecycle.ACTIVE),
        "inactive": StatusMeaning(Lifecycle.SUSPENDED),
        "standby": StatusMeaning(Lifecycle.SUSPENDED),
        "suspended": StatusMeaning(Lifecycle.SUSPENDED),
        "terminated": StatusMeaning(Lifecycle.TERMINATED),
    }
)


class AuthKey(Credentials):
    """An authentication key of the operator or of a SAM user."""

    auth_key_id: str
    auth_key: SecretStr


def auth_key_login(settings: CarrierSettings) -> TokenAuth:
    """Exchange the key for an API key and a token, which go into a header each and last a day."""
    key = settings.auth.auth_key.get_secret_value()
    return TokenAuth(
        JsonLogin(
            path="/v1/auth",
            body={"authKeyId": settings.auth.auth_key_id, "authKey": key},
            hidden=[key],
            tokens={"apiKey": "apiKey", "token": "token"},
            headers={"X-Soracom-API-Key": "{apiKey}", "X-Soracom-Token": "{token}"},
            lasts_seconds=86_400,
        )
    )


def list_sims(settings: CarrierSettings) -> CursorInResponse:
    """Walk by the header `x-soracom-next-key`. A short or an empty page is not the end; a missing header is."""
    return CursorInResponse(
        Request(path="/v1/sims", params={"limit": str(settings.page_size)}),
        found_in=InHeader("x-soracom-next-key"),
        sent_to=ToQuery("last_evaluated_key"),
    )


def _active(record: Mapping[str, Any]) -> tuple[str | None, Mapping[str, Any]]:
    """Return the ICCID and the profile in use: the active one, or the first where none is marked."""
    profiles = record.get("profiles")
    if not isinstance(profiles, dict) or not profiles:
        return None, {}
    iccid = record.get("activeProfileId")
    if not isinstance(iccid, str) or iccid not in profiles:
        iccid = next(iter(profiles))
    profile = profiles[iccid]
    return iccid, profile if isinstance(profile, dict) else {}


def _iccid(record: Mapping[str, Any]) -> Any:
    iccid, profile = _active(record)
    return profile.get("iccid") or iccid


def _imsi(record: Mapping[str, Any]) -> Any:
    _, profile = _active(record)
    return profile.get("primaryImsi") or next(iter(profile.get("subscribers") or {}), None)


def _of_the_subscriber(key: str) -> Lookup:
    """Return what finds a value of the subscription under the main IMSI of the profile in use."""

    def find(record: Mapping[str, Any]) -> Any:
        _, profile = _active(record)
        subscribers = profile.get("subscribers")
        subscriber = subscribers.get(_imsi(record)) if isinstance(subscribers, dict) else None
        return subscriber.get(key) if isinstance(subscriber, dict) else None

    return find


#: `GET /v1/sims/{sim_id}`: "No such SIM found" is a 404 with one of Soracom's error codes.
LOOKUP = PointLookup(
    request=get_by_id("/v1/sims"),
    records=object_in_body,
    not_there=answered_with(404, lambda body: isinstance(body.get("code"), str)),
)

CONNECTOR = Connector(
    type="soracom",
    base_url="https://api.soracom.io",
    page_size=100,
    auth_model=AuthKey,
    build_auth=auth_key_login,
    pagination=list_sims,
    records=array_in_body,
    record_map=RecordMap(
        fields={
            "sim_id": "simId",
            "iccid": _iccid,
            "imsi": _imsi,
            "msisdn": _of_the_subscriber("msisdn"),
            "imei": "sessionStatus.imei",
            "status": "status",
            "rate_plan": _of_the_subscriber("subscription"),
            "ip_address": "sessionStatus.ueIpAddress",
            "label": "tags.name",
            "account": "operatorId",
            "carrier_updated_at": "lastModifiedTime",
        },
        statuses=STATUSES,
    ),
    lookup=lambda _settings: LOOKUP,
    dialect=Dialect(
        throttling=Throttling(waits=(throttled_wait, wait_header("X-Soracom-Ratelimit-Seconds-Before-Refresh")))
    ),
)
