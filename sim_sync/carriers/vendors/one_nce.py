"""1NCE: `GET /management-api/v2/sims` (help.1nce.com, sim-management-v2). No id of its own, no time of change."""

from pydantic import SecretStr

from sim_sync.carriers.connector import Connector, totals_at
from sim_sync.carriers.logins import ClientAuth, ClientCredentials, TokenAuth
from sim_sync.carriers.messages import Request
from sim_sync.carriers.pagination import InHeader, PageNumber
from sim_sync.carriers.point_lookup import PointLookup, answered_with, get_by_iccid, object_in_body
from sim_sync.carriers.records import RecordMap, array_in_body
from sim_sync.carriers.settings import CarrierSettings, Credentials, LoginUrl, RateLimit
from sim_sync.core.sims import Lifecycle, StatusMeaning, StatusWords

#: What the SIM is; whether it is ONLINE or OFFLINE is another list's business.
STATUSES = StatusWords(
    {"Enabled": StatusMeaning(Lifecycle.ACTIVE), "Disabled": StatusMeaning(Lifecycle.SUSPENDED)},
)

RECORDS_TOTAL = InHeader("X-Total-Count")
PAGES_TOTAL = InHeader("X-Total-Pages")


class ClientKeys(Credentials):
    """An API user of the account. The vendor's pages also show the token call under `/management-api/oauth/token`."""

    client_id: str
    client_secret: SecretStr
    token_url: LoginUrl = "/oauth/token"  # noqa: S105 - a path


def client_auth(settings: CarrierSettings) -> TokenAuth:
    """Exchange the client's secret, sent as HTTP Basic, for a bearer token."""
    keys = settings.auth
    return TokenAuth(
        ClientCredentials(
            token_url=keys.token_url,
            client_id=keys.client_id,
            client_secret=keys.client_secret.get_secret_value(),
            client_auth=ClientAuth.BASIC_JSON,
        )
    )


def list_sims(settings: CarrierSettings) -> PageNumber:
    """Walk by page number up to the header `X-Total-Pages`."""
    return PageNumber(
        base=Request(path="/management-api/v2/sims"),
        records=array_in_body,
        page_param="page",
        size_param="pageSize",
        page_size=settings.page_size,
        total_pages=PAGES_TOTAL,
        total=RECORDS_TOTAL,
    )


#: `GET /management-api/v2/sims/{iccid}`, with 19 digits; a SIM that is not there is a 404 with the token `NotFound`.
LOOKUP = PointLookup(
    request=get_by_iccid("/management-api/v2/sims"),
    records=object_in_body,
    not_there=answered_with(404, lambda body: body.get("error_token") == "NotFound"),
)

CONNECTOR = Connector(
    type="one_nce",
    base_url="https://api.1nce.com",
    page_size=100,
    max_page_size=100,
    rate_limit=RateLimit(requests_per_second=10),
    auth_model=ClientKeys,
    build_auth=client_auth,
    pagination=list_sims,
    records=array_in_body,
    totals=totals_at(records=RECORDS_TOTAL, pages=PAGES_TOTAL),
    record_map=RecordMap(
        fields={
            "iccid": "iccid",
            "iccid_with_luhn": "iccid_with_luhn",
            "imsi": "imsi",
            "msisdn": "msisdn",
            "imei": "imei",
            "status": "status",
            "ip_address": "ip_address",
            "label": "label",
            "activated_at": "activation_date",
        },
        statuses=STATUSES,
    ),
    lookup=lambda _settings: LOOKUP,
)
