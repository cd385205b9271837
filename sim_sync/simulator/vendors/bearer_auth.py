"""Bearer tokens (RFC 6750) as the carrier's side reads them."""

import hmac

from sim_sync.simulator.vendor import Authentication, Request


def bearer_token(request: Request) -> str | None:
    """Return the token of the request, or None where it carries none; another scheme is an empty token."""
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def secret_authentication(given: str | None, expected: str) -> Authentication:
    """Return what a secret is worth that never changes."""
    if given is None:
        return "missing"
    return "ok" if hmac.compare_digest(given.encode(), expected.encode()) else "wrong"
