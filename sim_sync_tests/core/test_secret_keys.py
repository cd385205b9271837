"""A key or a column's name says whether a value is a secret; most say that it is none."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_sync.core.storable import is_secret_key, without_secrets

OF_A_CARD = (
    *(
        "pin",
        "pin1",
        "PIN 1",
        "PUK",
        "puk_2",
        "PUK-1",
        "PUK1",
        "pin_puk_codes",
        "PIN/PUK",
        "PINPUK1",
        "simPin",
        "SIM PIN",
    ),
    *(
        "pin_code",
        "PINCode",
        "PIN1Code",
        "pins",
        "CHV1",
        "ADM",
        "ADM1",
        "adm_1",
        "ADM key",
        "adm1key",
        "Ki",
        "KI",
        "simKi",
    ),
    *("Ki (hex)", "OPc", "OPC", "opc_value", "TOPc", "KIC", "KIC1", "kid2", "KIK", "\uff30\uff29\uff2e\uff11"),
)
OF_A_LOGIN = (
    *(
        "password",
        "Passwort",
        "passphrase",
        "clientSecret",
        "arcClientPeerPrivateKey",
        "apiKey",
        "X-Api-Key",
        "authKey",
    ),
    *("Authentication Key", "Encryption key", "ota_key", "OP Key", "K4Key", "token", "access_token", "sessionToken"),
    *("Authorization", "credentials", "confirmationCode"),
)
PLAIN = (
    *("iccid", "pinned", "status", "shipping", "imsi", "kind", "operator", "topic", "tokens_used", "opcode", "kilo"),
    *("spin", "opinion", "admin", "administrator", "skip", "key", "keyword", "label", "op", "shop_keys", "", "\u00e4"),
    *("pin_status", "pinEnabled", "PIN required", "pin1_retries_left", "puk_attempts", "pin1State"),
)


@pytest.mark.parametrize("key", [*OF_A_CARD, *OF_A_LOGIN])
def test_a_key_that_names_a_secret_is_known(key: str) -> None:
    assert is_secret_key(key)


@pytest.mark.parametrize("key", PLAIN)
def test_other_keys_are_none(key: str) -> None:
    assert not is_secret_key(key)


@given(
    word=st.sampled_from(["pin", "puk", "ki", "opc", "adm", "kic"]),
    number=st.sampled_from(["", "1", "2"]),
    before=st.sampled_from(["", "sim ", "SIM-", "card_", "card."]),
    behind=st.sampled_from(["", " value", "_hex", " (hex)", ":"]),
    write=st.sampled_from([str.lower, str.upper, str.title]),
)
def test_a_secret_of_a_card_is_known_however_it_is_written(
    word: str, number: str, before: str, behind: str, write: Callable[[str], str]
) -> None:
    assert is_secret_key(write(f"{before}{word}{number}{behind}"))


def test_secrets_are_taken_out_of_a_record_at_any_depth() -> None:
    record = {
        "iccid": "89",
        "pin": "1234",
        "profiles": [{"id": 1, "arcClientPeerPrivateKey": "k", "deep": {"puk2": 1}}],
    }
    assert without_secrets(record) == {"iccid": "89", "profiles": [{"id": 1, "deep": {}}]}
