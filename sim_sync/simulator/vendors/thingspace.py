"""Verizon ThingSpace: `POST /api/m2m/v1/devices/actions/list` by a keyset in the JSON body; two tokens.

An OAuth 2.0 token (the same one again while it is good) and a session that dies when idle; five bad logins lock the
account. A page that has more after it is a 202. Identifiers are `deviceIds`, pairs of kind and value whose kinds vary
in case; the key of the next page is the `DeviceId` among the extended attributes of the last device. The account's name
has leading zeros that matter; the option `account` names it.
"""

import hmac
import threading
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from sim_sync.core.sims import Lifecycle
from sim_sync.simulator.faults import EarlyEnd, PageFault, RepeatedLink
from sim_sync.simulator.fleet import Fleet
from sim_sync.simulator.fleet_spec import Profile
from sim_sync.simulator.sim_view import SimView
from sim_sync.simulator.vendor import Authentication, ListCall, Request, Response, VendorSpec, json_response, phrase_of
from sim_sync.simulator.vendors.auth import (
    TokenEndpoint,
    TokenOptions,
    basic_authentication,
    bearer_token,
    is_client,
    token_endpoint,
    token_response,
)
from sim_sync.simulator.vendors.bodies import BadParameter, form, json_object, json_text, refuse_unknown
from sim_sync.simulator.vendors.routed import Handler, RoutedVendor

#: The account that a simulated carrier has unless told otherwise.
DEFAULT_ACCOUNT = "0000123456-00001"

_TOKEN_PATH = "/api/ts/v1/oauth2/token"  # noqa: S105  # a path
_LOGIN_PATH = "/api/m2m/v1/session/login"
_TOKEN_SECONDS = 3600
_SESSION_SECONDS = 86_400
_IDLE_SECONDS = 20 * 60
_BAD_LOGINS = 5
_MAX_PAGE_SIZE = 2000
_STATUS_WORDS: Mapping[str, str] = {
    Lifecycle.ACTIVATION_READY: "pre-active",
    Lifecycle.ACTIVE: "active",
    Lifecycle.SUSPENDED: "suspend",
    Lifecycle.DEACTIVATED: "deactive",
}
_PROFILE = Profile(
    iccid_prefix="89148000",
    status_weights=(
        (Lifecycle.ACTIVE, 80),
        (Lifecycle.SUSPENDED, 8),
        (Lifecycle.DEACTIVATED, 8),
        (Lifecycle.ACTIVATION_READY, 4),
    ),
    rate_plans=("m2m4G", "m2m4G5MB"),
    imsi_prefix="31148",
    msisdn_prefix="+15",
)
_RECORD = (
    '{"accountName":%s,"billingCycleEndDate":"2026-12-31T00:00:00-05:00","carrierInformations":[{"carrierName":'
    '"Verizon Wireless","servicePlan":%s,"state":%s}],"connected":false,"createdAt":"%s","deviceIds":[%s],'
    '"extendedAttributes":[{"key":"PrimaryPlaceOfUseTitle"},{"key":"DeviceId","value":"%d"}],"groupNames":["all"%s],'
    '"ipAddress":%s,"lastActivationBy":"Simulated user","lastActivationDate":%s,"lastConnectionDate":null}'
)


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class ThingSpaceOptions(TokenOptions):
    """The options of a ThingSpace mount: whose account, and how long a session lives that nobody uses."""

    account: Annotated[str, Field(min_length=1)] = DEFAULT_ACCOUNT
    session_idle_seconds: Annotated[float, Field(gt=0)] = _IDLE_SECONDS


class ThingSpace(RoutedVendor):
    """The devices of one account."""

    list_method = "POST"
    list_path = "/api/m2m/v1/devices/actions/list"
    open_paths = (_TOKEN_PATH,)
    status_words = _STATUS_WORDS

    def __init__(self, fleet: Fleet, credentials: Mapping[str, str], options: ThingSpaceOptions) -> None:
        super().__init__(fleet)
        self._credentials = credentials
        self._account = options.account
        self._access = token_endpoint(options, life_seconds=_TOKEN_SECONDS, reissue=True)
        self._sessions = TokenEndpoint(life_seconds=_SESSION_SECONDS, idle_seconds=options.session_idle_seconds)
        self.token_endpoints = {"access": self._access, "session": self._sessions}
        self._lock = threading.Lock()
        self._bad_logins = 0

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """Return the two logins and the list."""
        return {
            ("POST", _TOKEN_PATH): self._token,
            ("POST", _LOGIN_PATH): self._login,
            ("POST", self.list_path): self._list,
        }

    def tokens_of(self, request: Request) -> Mapping[str, str | None]:
        """Return both tokens; a login needs the first only."""
        access = {"access": bearer_token(request)}
        if request.path == _LOGIN_PATH:
            return access
        return {**access, "session": request.headers.get("vz-m2m-token")}

    def page_call(self, request: Request) -> ListCall:
        """Return the device id after which the page begins."""
        try:
            seen = json_object(request).get("largestDeviceIdSeen")
        except BadParameter:
            return ListCall()
        return ListCall(None if seen is None else str(seen))

    def failure(self, status: int, message: str | None = None) -> Response:
        """Return ThingSpace's error body."""
        return _error(status, f"REQUEST_FAILED.{phrase_of(status).replace(' ', '')}", message or phrase_of(status))

    def unauthorized(self, worth: Authentication) -> Response:
        """Return the 401 of a token or a session that is missing or no longer good."""
        return _error(401, "UnifiedWebServiceErrors.M2M.SessionToken.Invalid", "A token is missing or has expired")

    def sim_id(self, sim: SimView) -> str:
        """Return the SIM's ICCID: `DeviceId` numbers the line, which outlives a SIM."""
        return sim.iccid or ""

    def listed(self, sim: SimView) -> Mapping[str, str | None]:
        """Return what the list tells; the MSISDN is the ten-digit national number, under the kind `mdn`."""
        return {
            "iccid": sim.iccid,
            "imsi": sim.imsi,
            "msisdn": _national(sim.msisdn),
            "imei": sim.imei,
            "rate_plan": sim.rate_plan,
            "ip_address": sim.ip_address,
            "account": self._account,
            "activated_at": sim.activated_text,
        }

    def record(self, sim: SimView, base_url: str) -> str:
        """Return a device as JSON text."""
        activated = sim.activated_text
        return _RECORD % (
            json_text(self._account),
            json_text(sim.rate_plan),
            json_text(self.carrier_status(sim)),
            sim.created_text,
            ",".join(f'{{"id":{json_text(value)},"kind":"{kind}"}}' for kind, value in _device_ids(sim) if value),
            _device_id(sim.index),
            f",{json_text(sim.label)}" if sim.label else "",
            json_text(sim.ip_address),
            f'"{activated}"' if activated else "null",
        )

    def forget_id(self, record: dict[str, Any]) -> None:
        """Leave a device without any of its ids but the key of the list: it cannot be told which SIM it is."""
        record["deviceIds"] = []

    def forget_iccid(self, record: dict[str, Any]) -> None:
        """Take a device's ICCID out of its ids."""
        record["deviceIds"] = [pair for pair in record["deviceIds"] if pair["kind"].lower() != "iccid"]

    def _token(self, request: Request, fault: PageFault | None) -> Response:
        known = {"username": self._credentials["client_id"], "password": self._credentials["client_secret"]}
        is_known = basic_authentication(request, **known) == "ok"
        return token_response(self._access, grant_type=form(request).get("grant_type"), client_is_known=is_known)

    def _login(self, request: Request, fault: PageFault | None) -> Response:
        body = json_object(request)
        refuse_unknown(body, ("username", "password"))
        known = {"client_id": self._credentials["username"], "client_secret": self._credentials["password"]}
        with self._lock:
            if self._bad_logins >= _BAD_LOGINS:
                return _error(403, "REQUEST_FAILED.AccountLocked", "The account is locked after five bad logins")
            if is_client(body.get("username"), body.get("password"), **known):
                self._bad_logins = 0
                return json_response(200, {"sessionToken": self._sessions.issue()})
            self._bad_logins += 1
        return _error(401, "REQUEST_FAILED.InvalidCredentials", "Username or password is wrong")

    def _list(self, request: Request, fault: PageFault | None) -> Response:
        body = json_object(request)
        refuse_unknown(body, ("accountName", "maxNumberOfDevices", "largestDeviceIdSeen", "deviceId"))
        if not hmac.compare_digest(str(body.get("accountName")).encode(), self._account.encode()):
            raise BadParameter("accountName does not name an account of this login")
        if "deviceId" in body:
            return self._one_device(body["deviceId"], request)
        size = _number(body, "maxNumberOfDevices", default=_MAX_PAGE_SIZE, lowest=1, highest=_MAX_PAGE_SIZE)
        seen = _number(body, "largestDeviceIdSeen", default=_device_id(-1), lowest=0, highest=2**62)
        found = self._indices(seen, size, fault)
        has_more = len(found) > size and not isinstance(fault, EarlyEnd)
        records = ",".join(self.records(found[:size], request.base_url, fault))
        text = f'{{"hasMoreData":{"true" if has_more else "false"},"devices":[{records}]}}'
        return Response(202 if has_more else 200, text.encode())

    def _one_device(self, asked: Any, request: Request) -> Response:
        """Return the list of the one device with an ICCID, or that there is none."""
        iccid = asked.get("id") if isinstance(asked, dict) and str(asked.get("kind")).lower() == "iccid" else None
        index = self.fleet.index_of_iccid(str(iccid))
        if index is None:
            return _error(400, "REQUEST_FAILED.DeviceNotFound", "The device is not in this account")
        record = self.records([index], request.base_url)[0]
        return Response(200, f'{{"hasMoreData":false,"devices":[{record}]}}'.encode())

    def _indices(self, seen: int, size: int, fault: PageFault | None) -> Sequence[int]:
        """Return the page's SIMs and one more where the list continues."""
        position = seen - _device_id(0)
        if isinstance(fault, RepeatedLink) and position >= 0:
            # The page before: its last device leads to this very request again.
            before = self.fleet.live_before(position + 1, size)
            return [*before[-size:], *self.fleet.live_after(position, 1)]
        return self.fleet.live_after(position, size + 1)


def _device_id(index: int) -> int:
    return 201 + index


def _device_ids(sim: SimView) -> Sequence[tuple[str, str | None]]:
    """Return kinds and values; how the ICCID's kind is spelled varies in the vendor's own documents."""
    number = _national(sim.msisdn)
    return (
        ("imei", sim.imei),
        ("ICCID" if sim.index % 8 == 5 else "iccId", sim.iccid),
        ("imsi", sim.imsi),
        ("mdn", number),
        ("min", number),
    )


def _national(msisdn: str | None) -> str | None:
    return None if msisdn is None else msisdn.removeprefix("+1")


def _number(body: Mapping[str, Any], name: str, *, default: int, lowest: int, highest: int) -> int:
    value = body.get(name, default)
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise BadParameter(f"{name} must be an integer from {lowest} to {highest}")
    return value


def _error(status: int, code: str, message: str) -> Response:
    return json_response(status, {"errorCode": code, "errorMessage": message})


#: How this vendor enters the registry.
SPEC = VendorSpec(
    name="thingspace",
    profile=_PROFILE,
    status_words=_STATUS_WORDS,
    credential_keys=("client_id", "client_secret", "username", "password"),
    build=ThingSpace,
    faults=frozenset({"early_end", "repeated_link", "token_expiry"}),
    options=ThingSpaceOptions,
)
