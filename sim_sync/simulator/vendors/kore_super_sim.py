"""KORE Super SIM: Twilio's Super SIM under another roof, after KORE's own OpenAPI file; login and errors differ.

The token call lies at `/api-services/v1/auth/token` of the same origin here. Error bodies are `status`, `message` and
sometimes `code` and `more_info`.
"""

from collections.abc import Mapping

from sim_sync.simulator.faults import PageFault
from sim_sync.simulator.fleet import Fleet
from sim_sync.simulator.vendor import Request, Response, VendorSpec, json_response, phrase_of
from sim_sync.simulator.vendors.auth import TokenOptions, bearer_token, is_client, token_endpoint, token_response
from sim_sync.simulator.vendors.bodies import form
from sim_sync.simulator.vendors.routed import Handler
from sim_sync.simulator.vendors.twilio_sims import PROFILE, STATUS_WORDS, SuperSims

_TOKEN_PATH = "/api-services/v1/auth/token"  # noqa: S105  # a path
_TOKEN_SECONDS = 3600


class KoreSuperSim(SuperSims):
    """The Super SIM API of KORE over one fleet."""

    open_paths = (_TOKEN_PATH,)

    def __init__(self, fleet: Fleet, credentials: Mapping[str, str], options: TokenOptions) -> None:
        super().__init__(fleet)
        self._client_id = credentials["client_id"]
        self._client_secret = credentials["client_secret"]
        self._token_endpoint = token_endpoint(options, life_seconds=_TOKEN_SECONDS)
        self.token_endpoints = {"access": self._token_endpoint}
        self.account_sid = fleet.fleet_spec.other_id("AC", "account")

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """Return the token call and the list."""
        return {**super().routes(), ("POST", _TOKEN_PATH): self._token}

    def tokens_of(self, request: Request) -> Mapping[str, str | None]:
        """Return the bearer token."""
        return {"access": bearer_token(request)}

    def failure(self, status: int, message: str | None = None) -> Response:
        """Return KORE's error body."""
        return json_response(status, {"status": status, "message": message or phrase_of(status)})

    def _token(self, request: Request, fault: PageFault | None) -> Response:
        given = form(request)
        is_known = is_client(
            given.get("client_id"),
            given.get("client_secret"),
            client_id=self._client_id,
            client_secret=self._client_secret,
        )
        return token_response(self._token_endpoint, grant_type=given.get("grant_type"), client_is_known=is_known)


#: How this vendor enters the registry.
SPEC = VendorSpec(
    name="kore_super_sim",
    profile=PROFILE,
    status_words=STATUS_WORDS,
    credential_keys=("client_id", "client_secret"),
    build=KoreSuperSim,
    faults=frozenset({"early_end", "repeated_link", "foreign_link", "cursor_expiry", "token_expiry"}),
    options=TokenOptions,
)
