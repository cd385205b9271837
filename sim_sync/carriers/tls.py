"""Whom a TLS connection trusts, and what its failures mean: what a person has to put right, and what may pass."""

import os
import re
import socket
import ssl
from collections.abc import Mapping
from functools import cache

from sim_sync.core.errors import ConfigError, Problem
from sim_sync.processes import with_causes

#: The variables that OpenSSL itself reads: a file or a folder of certificates in place of the host's own.
CERT_FILE_VARIABLE, CERT_DIR_VARIABLE = "SSL_CERT_FILE", "SSL_CERT_DIR"

_OUT_OF_DATE = frozenset({9, 10})
_OF_ANOTHER_HOST = frozenset({62, 63, 64})
#: Reasons of OpenSSL that no wait cures; others (an end in mid handshake, trouble of the server's own) may pass.
_NO_TLS = re.compile("WRONG_VERSION_NUMBER|HTTP_REQUEST")
_WANTS_OUR_CERTIFICATE = re.compile("CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNKNOWN_CA|CERTIFICATE_UNKNOWN|ACCESS_DENIED")
_NOTHING_IN_COMMON = re.compile(
    "PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|NO_PROTOCOLS|HANDSHAKE_FAILURE|INSUFFICIENT_SECURITY|NO_SHARED_CIPHER"
    "|TOO_SMALL|TOO_WEAK|UNRECOGNIZED_NAME|UNSAFE_LEGACY|UNSUPPORTED_CERTIFICATE|CERTIFICATE_(?:REVOKED|EXPIRED)"
)


def tls_context(environ: Mapping[str, str] = os.environ) -> ssl.SSLContext | None:
    """Return what is trusted where the environment names certificates; None where it does not: the host's own are.

    Raises:
        ConfigError: they cannot be read.
    """
    file, folder = environ.get(CERT_FILE_VARIABLE) or None, environ.get(CERT_DIR_VARIABLE) or None
    return None if file is None and folder is None else _trusting(file, folder)


@cache
def _trusting(file: str | None, folder: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(file, folder)
    except OSError as error:  # no such file, or no PEM in it
        name = CERT_DIR_VARIABLE if file is None else CERT_FILE_VARIABLE
        found = f"{file or folder}: {error.strerror or 'no certificate'}"
        raise ConfigError([Problem("environment", name, "certificates in PEM form that can be read", found)]) from None
    return context


def lasting_tls_failure(error: BaseException) -> str | None:
    """Return why a connection cannot be secured, and what to do; None where that is not the trouble, or may pass."""
    found = next((one for one in with_causes(error) if isinstance(one, ssl.SSLError)), None)
    if isinstance(found, ssl.SSLCertVerificationError):
        return f"the certificate is not trusted ({found.verify_message}): {_advice(found.verify_code)}"
    reason = "" if found is None else found.reason or ""
    if _NO_TLS.search(reason):
        return "this port does not speak TLS: check `base_url`"
    if _WANTS_OUR_CERTIFICATE.search(reason):
        return f"the server asks for a certificate of the client, and sim_sync has none ({reason})"
    if _NOTHING_IN_COMMON.search(reason):
        return f"the server and this host have no TLS version or cipher in common, at least TLS 1.2 ({reason})"
    return None


def unknown_name(error: BaseException) -> str | None:
    """Return what it means that a host's name leads nowhere; None where that is not the trouble. It may pass."""
    found = next((one for one in with_causes(error) if isinstance(one, socket.gaierror)), None)
    if found is None:
        return None
    if found.errno == socket.EAI_AGAIN:
        return "the DNS of this host does not answer at the moment"
    return f"the DNS of this host knows no such name: check `base_url`, and the network ({found.strerror})"


def _advice(verify_code: int) -> str:
    if verify_code in _OUT_OF_DATE:
        return "whoever runs the server has to renew it; check the clock of this host, too"
    if verify_code in _OF_ANOTHER_HOST:
        return "check `base_url`: it was issued for another host"
    return (
        f"if it comes from an issuer of the carrier's or of your own network, name a PEM file with that issuer in "
        f"{CERT_FILE_VARIABLE}, in the environment of Dagster, too"
    )
