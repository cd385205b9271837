"""The token call of OAuth 2.0 client credentials (RFC 6749, sections 4.4 and 5), as carriers' servers answer it."""

import hmac

from sim_sync.simulator.vendor import Response, json_response
from sim_sync.simulator.vendors.tokens import TokenEndpoint


def token_response(endpoint: TokenEndpoint, *, grant_type: object, client_is_known: bool) -> Response:
    """Return a token, or the refusal in the RFC's shape."""
    if not client_is_known:
        headers = {"WWW-Authenticate": 'Basic realm="token"'}
        return json_response(401, {"error": "invalid_client", "error_description": "Client is not known."}, headers)
    if grant_type != "client_credentials":
        description = "grant_type must be client_credentials"
        return json_response(400, {"error": "unsupported_grant_type", "error_description": description})
    token = endpoint.issue()
    document = {"access_token": token, "token_type": "Bearer", "expires_in": endpoint.seconds_left(token)}
    return json_response(200, document, {"Cache-Control": "no-store"})


def is_client(given_id: object, given_secret: object, *, client_id: str, client_secret: str) -> bool:
    """Return whether these are the client's credentials."""
    given = f"{given_id}:{given_secret}".encode()
    return hmac.compare_digest(given, f"{client_id}:{client_secret}".encode())
