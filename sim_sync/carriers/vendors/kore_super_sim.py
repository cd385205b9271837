"""KORE Super SIM, which was Twilio's: the same list (`kore-supersim-v1.json`) behind OAuth2 client credentials."""

from pydantic import SecretStr

from sim_sync.carriers.connector import Connector
from sim_sync.carriers.logins import ClientAuth, ClientCredentials
from sim_sync.carriers.records import list_at
from sim_sync.carriers.settings import CarrierSettings, Credentials
from sim_sync.carriers.tokens import TokenAuth
from sim_sync.carriers.urls import LoginUrl
from sim_sync.carriers.vendors.twilio_super_sim import RECORDS, list_sims


class ClientKeys(Credentials):
    """An API client of the KORE account; `token_url` is on another host than the list."""

    client_id: str
    client_secret: SecretStr
    token_url: LoginUrl = "https://api.korewireless.com/api-services/v1/auth/token"  # noqa: S105 - a URL


def client_auth(settings: CarrierSettings) -> TokenAuth:
    """Exchange the client's secret, sent in a form, for a bearer token."""
    keys = settings.auth
    return TokenAuth(
        ClientCredentials(
            token_url=keys.token_url,
            client_id=keys.client_id,
            client_secret=keys.client_secret.get_secret_value(),
            client_auth=ClientAuth.FORM,
        )
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
)
