"""KORE Super SIM, which was Twilio's: the same list (`kore-supersim-v1.json`) behind OAuth2 client credentials."""

from urllib.parse import urlsplit

from pydantic import SecretStr

from sim_sync.carriers.connector import Connector
from sim_sync.carriers.logins import ClientAuth, ClientCredentials, TokenAuth
from sim_sync.carriers.point_lookup import PointLookup, answered_with, get_by_id, object_in_body
from sim_sync.carriers.records import list_at
from sim_sync.carriers.settings import CarrierSettings, Credentials, LoginUrl, is_loopback
from sim_sync.carriers.vendors.twilio_super_sim import RECORDS, list_sims

_TOKEN_ORIGIN = "https://api.korewireless.com"  # noqa: S105 - an origin
_TOKEN_PATH = "/api-services/v1/auth/token"  # noqa: S105 - a path


class ClientKeys(Credentials):
    """An API client of the KORE account; `token_url` is by default the vendor's, on another host than the list."""

    client_id: str
    client_secret: SecretStr
    token_url: LoginUrl | None = None


def token_url_of(settings: CarrierSettings) -> str:
    """Return the vendor's login, or where `base_url` is this machine's own, the same path on it."""
    is_simulated = is_loopback(urlsplit(settings.base_url).hostname or "")
    return settings.auth.token_url or (_TOKEN_PATH if is_simulated else _TOKEN_ORIGIN + _TOKEN_PATH)


def client_auth(settings: CarrierSettings) -> TokenAuth:
    """Exchange the client's secret, sent in a form, for a bearer token."""
    keys = settings.auth
    return TokenAuth(
        ClientCredentials(
            token_url=token_url_of(settings),
            client_id=keys.client_id,
            client_secret=keys.client_secret.get_secret_value(),
            client_auth=ClientAuth.FORM,
        )
    )


#: `GET /v1/Sims/{Sid}`; of an error KORE documents `status` and `message`, and `code` only sometimes.
LOOKUP = PointLookup(
    request=get_by_id("/v1/Sims"),
    records=object_in_body,
    not_there=answered_with(404, lambda body: str(body.get("status")) == "404"),
)

CONNECTOR = Connector(
    type="kore_super_sim",
    base_url="https://supersim.api.korewireless.com",
    page_size=1000,
    max_page_size=1000,
    auth_model=ClientKeys,
    build_auth=client_auth,
    pagination=list_sims,
    records=list_at("sims"),
    record_map=RECORDS,
    lookup=lambda _settings: LOOKUP,
)
