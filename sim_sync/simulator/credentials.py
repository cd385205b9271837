"""The credentials that simulated carriers accept unless told otherwise. They open nothing but a simulator.

The keys are those of `auth` in `carriers.yaml`. All of them, all tokens that simulated carriers issue and all secrets
that they list with a SIM begin with one of `SECRET_MARKS` or are a value of `simulated_credentials`, so that a search
for a leak knows what to look for.
"""

from collections.abc import Mapping
from types import MappingProxyType

#: What every token issued by a simulated carrier begins with.
TOKEN_MARK = "simulated-token-"  # noqa: S105  # the beginning of all simulated tokens
#: What every secret that a simulated carrier lists with a SIM begins with: PINs, PUKs, private keys.
LISTED_SECRET_MARK = "simulated-secret-"  # noqa: S105  # the beginning of all simulated secrets
#: What a search for leaks looks for, beside the credentials themselves.
SECRET_MARKS = (TOKEN_MARK, LISTED_SECRET_MARK)

_TWILIO = {"username": "AC51500000000000000000000000000515", "password": "simulated-password"}

#: What the simulated Twilio carriers accept by default.
SIMULATED_CREDENTIALS: Mapping[str, str] = MappingProxyType(_TWILIO)

_BY_VENDOR: Mapping[str, Mapping[str, str]] = {
    "twilio_super_sim": _TWILIO,
    "twilio_wireless": _TWILIO,
    "kore_super_sim": {"client_id": "simulated-kore-client-id", "client_secret": "simulated-kore-client-secret"},
    "telnyx": {"api_key": "simulated-telnyx-api-key"},
    "emnify": {"application_token": "simulated-emnify-application-token"},
    "one_nce": {"client_id": "simulated-1nce-client-id", "client_secret": "simulated-1nce-client-secret"},
    "hologram": {"api_key": "simulated-hologram-api-key"},
    "soracom": {"auth_key_id": "keyId-simulated-soracom", "auth_key": "simulated-soracom-auth-key"},
    "cisco_control_center": {"username": "simulated-cisco-user", "api_key": "simulated-cisco-api-key"},
    "thingspace": {
        "client_id": "simulated-thingspace-client-id",
        "client_secret": "simulated-thingspace-client-secret",
        "username": "simulated-thingspace-user",
        "password": "simulated-thingspace-password",
    },
    "tmf639": {"token": "simulated-tmf639-token"},
    "rest": {
        "token": "simulated-rest-token",
        "username": "simulated-rest-user",
        "password": "simulated-rest-password",
        "api_key": "simulated-rest-api-key",
        "client_id": "simulated-rest-client-id",
        "client_secret": "simulated-rest-client-secret",
    },
}


def simulated_credentials(vendor: str) -> Mapping[str, str]:
    """Return what a simulated carrier of this vendor accepts by default, by the keys of its `auth`."""
    return MappingProxyType(dict(_BY_VENDOR[vendor]))
