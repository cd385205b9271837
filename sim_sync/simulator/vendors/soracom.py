"""Soracom: `GET /v1/sims` along `x-soracom-next-key`, after the vendor's OpenAPI file; the login gives two secrets.

A page may hold fewer SIMs than asked for, or none, while more follow; the list ends where the header is missing. A SIM
has profiles by ICCID, each with subscribers by IMSI; virtual ones list a private key. `short_pages` false makes every
page full. Error bodies are `code` and `message`; their codes are the vendor's and clients must not depend on them.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from sim_sync.core.sims import Lifecycle
from sim_sync.simulator.credentials import LISTED_SECRET_MARK, TOKEN_MARK
from sim_sync.simulator.faults import EarlyEnd, PageFault, RepeatedLink
from sim_sync.simulator.fleet import Fleet
from sim_sync.simulator.fleet_spec import Profile, mix64
from sim_sync.simulator.sim_view import SimView
from sim_sync.simulator.vendor import Authentication, ListCall, Request, Response, VendorSpec, json_response, phrase_of
from sim_sync.simulator.vendors.auth import TokenOptions, is_client, secret_authentication, token_endpoint
from sim_sync.simulator.vendors.bodies import (
    BadParameter,
    json_object,
    json_text,
    parse_number,
    plain_number,
    refuse_unknown,
)
from sim_sync.simulator.vendors.paging import Cursors
from sim_sync.simulator.vendors.routed import Handler, RoutedVendor

_LOGIN_PATH = "/v1/auth"
_MAX_PAGE_SIZE = 100
_TOKEN_SECONDS = 86_400
_MAX_TOKEN_SECONDS = 172_800
_LIMIT_PER_MINUTE = 6000
_STATUS_WORDS: Mapping[str, str] = {
    Lifecycle.ACTIVATION_READY: "ready",
    Lifecycle.ACTIVE: "active",
    Lifecycle.SUSPENDED: "inactive",
    Lifecycle.TERMINATED: "terminated",
}
_PROFILE = Profile(
    iccid_prefix="89423100",
    status_weights=(
        (Lifecycle.ACTIVE, 80),
        (Lifecycle.ACTIVATION_READY, 10),
        (Lifecycle.SUSPENDED, 8),
        (Lifecycle.TERMINATED, 2),
    ),
    rate_plans=("plan01s", "planX3", "plan-US"),
    imsi_prefix="44010",
    msisdn_prefix="+423663",
)
_RECORD = (
    '{"simId":"%s","operatorId":"%s","type":"%s","moduleType":"nano","status":%s,"speedClass":"s1.standard",'
    '"groupId":"%s","tags":{%s},"activeProfileId":%s,"profiles":{%s},"createdTime":%d,"lastModifiedTime":%d,'
    '"terminationEnabled":false%s}'
)
_SIM_PROFILE = (
    '%s:{"iccid":%s,"otaSupported":true,"primaryImsi":%s,%s"subscribers":{%s:{"imsi":%s,"msisdn":%s,"status":"active",'
    '"subscription":%s,"bundles":[],"capabilities":{"data":true,"sms":true}}}}'
)
_SESSION = ',"sessionStatus":{"online":true,"imei":%s,"imsi":%s,"ueIpAddress":%s,"lastUpdatedAt":%d}'


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class SoracomOptions(TokenOptions):
    """The options of a Soracom mount."""

    short_pages: bool = True


class Soracom(RoutedVendor):
    """The SIMs of one operator."""

    list_path = "/v1/sims"
    open_paths = (_LOGIN_PATH,)
    status_words = _STATUS_WORDS
    alone = ("", "")
    id_field = "simId"

    def __init__(self, fleet: Fleet, credentials: Mapping[str, str], options: SoracomOptions) -> None:
        super().__init__(fleet)
        self._auth_key_id = credentials["auth_key_id"]
        self._auth_key = credentials["auth_key"]
        self._options = options
        self._token_endpoint = token_endpoint(options, life_seconds=_TOKEN_SECONDS)
        self.token_endpoints = {"access": self._token_endpoint}
        self._api_key = fleet.fleet_spec.other_id(f"{TOKEN_MARK}api-", "api key")
        self._operator_id = fleet.fleet_spec.other_id("OP", "operator")[:12]
        self._keys = self.cursors = Cursors(fleet, "soracom")

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """Return the login and the list."""
        return {("POST", _LOGIN_PATH): self._login, ("GET", self.list_path): self._list}

    def tokens_of(self, request: Request) -> Mapping[str, str | None]:
        """Return the token, which comes in a header of its own."""
        return {"access": request.headers.get("x-soracom-token")}

    def worth(self, request: Request) -> Authentication:
        """Return what both secrets are worth together."""
        worth = secret_authentication(request.headers.get("x-soracom-api-key"), self._api_key)
        return worth if worth != "ok" else super().worth(request)

    def page_call(self, request: Request) -> ListCall:
        """Return the key after which the page begins."""
        return ListCall(request.query.get("last_evaluated_key"))

    def failure(self, status: int, message: str | None = None) -> Response:
        """Return Soracom's error body."""
        return json_response(status, {"code": f"COM{status:04}", "message": message or phrase_of(status)})

    def throttled(self, wait_seconds: int, *, quota_gone: bool = False) -> Response:
        """Return a 429 with Soracom's own header for the wait."""
        response = self.failure(429, "Rate limit exceeded")
        headers = {
            "X-Soracom-Ratelimit-Limit": str(_LIMIT_PER_MINUTE),
            "X-Soracom-Ratelimit-Remaining": "0",
            "X-Soracom-Ratelimit-Seconds-Before-Refresh": str(wait_seconds),
        }
        return Response(429, response.body, headers=headers)

    def sim_id(self, sim: SimView) -> str:
        """Return the SIM's id, 19 digits that look like an ICCID and stay when the ICCID changes."""
        return self.fleet_spec.iccid(sim.index)[:19]

    def index_of(self, name: str) -> int | None:
        """Return the index of the SIM with this id, which is not its ICCID any more once that has changed."""
        found = (self.fleet_spec.index_of_iccid(f"{name}{digit}") for digit in range(10))
        return next((index for index in found if index is not None), None)

    def listed(self, sim: SimView) -> Mapping[str, str | None]:
        """Return what the list tells, of the active profile and its primary IMSI; the plan is its subscription."""
        session = _has_session(sim)
        return {
            "iccid": sim.iccid,
            "imsi": sim.imsi,
            "msisdn": plain_number(sim.msisdn),
            "imei": sim.imei if session else None,
            "ip_address": sim.ip_address if session else None,
            "rate_plan": sim.rate_plan,
            "label": sim.label,
            "account": self._operator_id,
            "carrier_updated_at": sim.updated_text,
        }

    def record(self, sim: SimView, base_url: str) -> str:
        """Return a SIM as JSON text."""
        updated = _epoch_ms(sim.updated_text)
        session = ""
        if _has_session(sim):
            session = _SESSION % (json_text(sim.imei), json_text(sim.imsi), json_text(sim.ip_address), updated)
        return _RECORD % (
            self.sim_id(sim),
            self._operator_id,
            _type_of(sim.index),
            json_text(self.carrier_status(sim)),
            self.fleet_spec.other_id("", "group"),
            f'"name":{json_text(sim.label)}' if sim.label else "",
            json_text(sim.iccid),
            self._profiles(sim),
            _epoch_ms(sim.created_text),
            updated,
            session,
        )

    def forget_iccid(self, record: dict[str, Any]) -> None:
        """Leave a SIM without any profile, and so without an ICCID."""
        record.update(activeProfileId=None, profiles={})

    def _profiles(self, sim: SimView) -> str:
        """Return the active profile, and a second one of a SIM that can hold several."""
        if sim.iccid is None:
            return ""
        key = ""
        if _type_of(sim.index) == "virtual":
            key = f'"arcClientPeerPrivateKey":"{LISTED_SECRET_MARK}arc-{sim.index}",'
        profiles = _profile(sim.iccid, sim.imsi, plain_number(sim.msisdn), sim.rate_plan, key)
        if _type_of(sim.index) != "euicc":
            return profiles
        index = sim.index
        second = _profile(self.fleet_spec.second_iccid(index), self.fleet_spec.second_imsi(index), None, "planX1", "")
        # The other profile comes first, so that "the first one" is not the active one.
        return f"{second},{profiles}"

    def _login(self, request: Request, fault: PageFault | None) -> Response:
        body = json_object(request)
        refuse_unknown(body, ("authKeyId", "authKey", "tokenTimeoutSeconds"))
        known = {"client_id": self._auth_key_id, "client_secret": self._auth_key}
        if not is_client(body.get("authKeyId"), body.get("authKey"), **known):
            return self.failure(401, "Invalid authKeyId or authKey")
        seconds = body.get("tokenTimeoutSeconds", _TOKEN_SECONDS)
        if not isinstance(seconds, int) or not 0 < seconds <= _MAX_TOKEN_SECONDS:
            raise BadParameter(f"tokenTimeoutSeconds must be an integer from 1 to {_MAX_TOKEN_SECONDS}")
        token = self._token_endpoint.issue(self._options.token_seconds or seconds)
        return json_response(200, {"apiKey": self._api_key, "operatorId": self._operator_id, "token": token})

    def _list(self, request: Request, fault: PageFault | None) -> Response:
        refuse_unknown(request.query, ("limit", "last_evaluated_key"))
        limit = parse_number(request.query, "limit", default=_MAX_PAGE_SIZE, lowest=1, highest=_MAX_PAGE_SIZE)
        key = request.query.get("last_evaluated_key")
        # A key is twice how many indices lie before the page, and one more where an empty page came before.
        before, is_second_try = divmod(self._keys.position(key) if key else 0, 2)
        indices, next_key = self._page(before, limit, may_be_empty=not is_second_try)
        match fault:
            case EarlyEnd():
                next_key = None
            case RepeatedLink():
                next_key = 2 * before + is_second_try
        records = ",".join(self.records(indices, request.base_url, fault))
        headers = {} if next_key is None else self._next_headers(request, self._keys.cursor(next_key), limit)
        return Response(200, f"[{records}]".encode(), headers=headers)

    def _page(self, before: int, limit: int, *, may_be_empty: bool) -> tuple[list[int], int | None]:
        """Return the SIMs of a page and the key of the next, which may be given though nothing follows."""
        chance = mix64(before ^ self.fleet_spec.fingerprint(0)) if self._options.short_pages else 5
        if may_be_empty and chance % 6 == 0:
            return [], 2 * before + 1
        count = max(limit * (1 + chance // 8 % 3) // 4, 1) if chance % 6 in (1, 2) else limit
        found = self.fleet.live_after(before - 1, count + 1)
        indices = found[:count]
        if not indices:
            return [], None
        is_told_too_late = may_be_empty and chance % 6 == 3
        return indices, 2 * (indices[-1] + 1) if len(found) > count or is_told_too_late else None

    def _next_headers(self, request: Request, key: str, limit: int) -> Mapping[str, str]:
        target = urlencode({"last_evaluated_key": key, "limit": limit})
        return {"x-soracom-next-key": key, "Link": f"<{request.base_url}{self.list_path}?{target}>; rel=next"}


def _profile(iccid: str, imsi: str | None, msisdn: str | None, subscription: str | None, key: str) -> str:
    quoted, number = json_text(iccid), json_text(imsi)
    subscriber = json_text(imsi or "")
    return _SIM_PROFILE % (
        quoted,
        quoted,
        number,
        key,
        subscriber,
        number,
        json_text(msisdn or ""),
        json_text(subscription),
    )


def _type_of(index: int) -> str:
    match index % 16:
        case 3:
            return "euicc"
        case 5:
            return "virtual"
        case _:
            return "uicc"


def _has_session(sim: SimView) -> bool:
    return sim.status == Lifecycle.ACTIVE


def _epoch_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1000


#: How this vendor enters the registry.
SPEC = VendorSpec(
    name="soracom",
    profile=_PROFILE,
    status_words=_STATUS_WORDS,
    credential_keys=("auth_key_id", "auth_key"),
    build=Soracom,
    faults=frozenset({"early_end", "repeated_link", "token_expiry", "cursor_expiry"}),
    options=SoracomOptions,
)
