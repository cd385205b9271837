"""Twilio Super SIM: `GET /v1/Sims` (Twilio's OpenAPI file `twilio_supersim_v1.json`). Lists no IMSI, MSISDN or plan."""

from pydantic import SecretStr

from sim_sync.carriers.auth import BasicAuth
from sim_sync.carriers.connector import Connector
from sim_sync.carriers.messages import Request
from sim_sync.carriers.pagination import NextLinkInBody
from sim_sync.carriers.point_lookup import PointLookup, answered_with, get_by_id, object_in_body
from sim_sync.carriers.records import RecordMap, list_at
from sim_sync.carriers.settings import CarrierSettings, Credentials
from sim_sync.core.sims import Lifecycle, StatusMeaning, StatusWords

STATUSES = StatusWords(
    {
        "new": StatusMeaning(Lifecycle.INVENTORY),
        "ready": StatusMeaning(Lifecycle.ACTIVATION_READY),
        "active": StatusMeaning(Lifecycle.ACTIVE),
        "inactive": StatusMeaning(Lifecycle.DEACTIVATED),
        # A change is in flight; what it changes to is not said.
        "scheduled": StatusMeaning(Lifecycle.UNKNOWN, pending=True),
    }
)

RECORDS = RecordMap(
    fields={
        "sim_id": "sid",
        "iccid": "iccid",
        "status": "status",
        "label": "unique_name",
        "account": "account_sid",
        "carrier_updated_at": "date_updated",
    },
    statuses=STATUSES,
    ignored=frozenset({"url", "links"}),
)


class AccountAuth(Credentials):
    """The account's SID (or an API key's), and its token (or secret)."""

    username: str
    password: SecretStr


def account_auth(settings: CarrierSettings) -> BasicAuth:
    """Send them as HTTP Basic."""
    return BasicAuth(settings.auth.username, settings.auth.password.get_secret_value())


def list_sims(settings: CarrierSettings) -> NextLinkInBody:
    """Walk by `meta.next_page_url`; null is the end."""
    first = Request(path="/v1/Sims", params={"PageSize": str(settings.page_size)})
    return NextLinkInBody(first, "meta.next_page_url")


#: `GET /v1/Sims/{Sid}`; a SID that is not there is a 404 with the code 20404 (twilio.com/docs/api/errors/20404).
LOOKUP = PointLookup(
    request=get_by_id("/v1/Sims"),
    records=object_in_body,
    not_there=answered_with(404, lambda body: str(body.get("code")) == "20404"),
)

CONNECTOR = Connector(
    type="twilio_super_sim",
    base_url="https://supersim.twilio.com",
    page_size=1000,
    max_page_size=1000,
    auth_model=AccountAuth,
    build_auth=account_auth,
    pagination=list_sims,
    records=list_at("sims"),
    record_map=RECORDS,
    lookup=lambda _settings: LOOKUP,
)
