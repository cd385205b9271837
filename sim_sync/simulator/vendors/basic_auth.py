"""HTTP Basic credentials (RFC 7617) as the carrier's side checks them."""

import base64
import binascii
import hmac

from sim_sync.simulator.vendor import Authentication, Request


def basic_authentication(request: Request, *, username: str, password: str) -> Authentication:
    """Return whether the request carries exactly these credentials."""
    header = request.headers.get("authorization")
    if header is None:
        return "missing"
    scheme, _, encoded = header.partition(" ")
    try:
        given = base64.b64decode(encoded.strip(), validate=True)
    except binascii.Error:
        return "wrong"
    expected = f"{username}:{password}".encode()
    return "ok" if scheme.lower() == "basic" and hmac.compare_digest(given, expected) else "wrong"
