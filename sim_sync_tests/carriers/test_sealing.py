"""Cursors hold no credentials in the clear, and lead on all the same."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_sync.carriers.secrets import CursorSeal, Redactor
from sim_sync.config.carrier import CarrierConfig
from sim_sync.core.errors import CursorRejected, UnexpectedResponse
from sim_sync.core.pages import Cursor
from sim_sync_tests.carriers.declared import declared
from sim_sync_tests.carriers.walking import iccid, told
from sim_sync_tests.fakes.moving_time import MovingTime
from sim_sync_tests.fakes.raw_server import RawServer, Received, reply, serving

PASSWORD = "the-api-key-1234"
ISSUED = "t0ken/of+page"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhY21lIn0.c2lnbmF0dXJl"


def seal(password: str = PASSWORD, account: str = "acme") -> CursorSeal:
    """Return what a new process of the account has."""
    return CursorSeal(account, [password], Redactor([password]))


def stored(cursor: Cursor) -> str:
    return json.dumps(cursor)


@pytest.mark.parametrize(
    ("link", "secret", "clear"),
    [
        ("/v1/sims?o=10&token=abc123xyz", "abc123xyz", "o=10"),
        ("/v1/sims?access_token=abc123xyz&page=2", "abc123xyz", "page=2"),
        ("/v1/sims?apiKey=abc123xyz&page=2", "abc123xyz", "page=2"),
        ("/v1/sims?page=2&X-Amz-Signature=0a1b2c3d&X-Amz-Credential=AKIA%2Feu", "0a1b2c3d", "page=2"),
        ("/v1/sims?page=2&X-Amz-Signature=0a1b2c3d&X-Amz-Credential=AKIA%2Feu", "AKIA", "page=2"),
        ("/v1/sims?page=2&sig=abc%2B123%3D", "abc%2B123%3D", "page=2"),
        ("/v1/sims?page=2&sessionId=abc123xyz", "abc123xyz", "page=2"),
        (f"/v1/sims?page=2&k={PASSWORD}", PASSWORD, "page=2"),
        (f"/v1/sims?page=2&state={JWT}", JWT, "page=2"),
        (f"/v1/{PASSWORD}/sims?page=2", PASSWORD, ""),
        ("/v1/sims?page=2&Password=abc123xyz&Password=second99", "second99", "page=2"),
    ],
)
def test_what_looks_like_a_credential_is_sealed_and_the_rest_stays_readable(link: str, secret: str, clear: str) -> None:
    kept = seal().sealed({"next": link})
    assert secret not in stored(kept)
    assert clear in stored(kept)
    assert seal().opened(json.loads(stored(kept))) == {"next": link}


@pytest.mark.parametrize(
    "cursor",
    [
        {},
        {"page": 3, "total": 40, "held": "0123456789abcdef"},
        {"next": "/v1/Sims?PageSize=50&Page=2&PageToken=PAHS0123456789"},
        {"next": "/v1/sims?$skiptoken=x&page_token=abc&nextToken=def&continuation_token=ghi"},
        {"next": "/v1/sims?a=1&&b&=c&d=e=f&tokenize=yes"},
        {"after": "eyJhZnRlciI6IjVmMGMifQ"},
        {"after": 89883070000123456789},
    ],
)
def test_what_is_a_place_in_the_list_is_stored_as_it_is(cursor: dict[str, Any]) -> None:
    assert seal().sealed(cursor) == cursor
    assert seal().opened(cursor) == cursor


@pytest.mark.parametrize("value", [PASSWORD, JWT, f"/v1/sims?o=10&token={ISSUED}"])
def test_a_cursor_of_the_carriers_own_that_holds_a_credential_is_sealed_too(value: str) -> None:
    kept = seal().sealed({"after": value})
    assert value not in stored(kept)
    assert seal().opened(kept) == {"after": value}


def test_equal_cursors_stay_equal_so_that_a_circle_is_noticed() -> None:
    one, other = {"next": "/s?token=abc123xyz"}, {"next": "/s?token=abc123xyy"}
    assert seal().sealed(one) == seal().sealed(dict(one))
    assert seal().sealed(one) != seal().sealed(other)
    assert seal(account="other").sealed(one) != seal().sealed(one)


@pytest.mark.parametrize("spoilt", ["", "A", "AAAA", "sealed.1.", "!!!"])
def test_a_sealed_part_that_was_changed_is_a_cursor_that_cannot_be_used(spoilt: str) -> None:
    kept = str(seal().sealed({"next": "/s?token=abc123xyz"})["next"])
    with pytest.raises(CursorRejected, match="sealed under other secrets"):
        seal().opened({"next": kept[:-6] + spoilt})


def test_after_a_change_of_the_secrets_the_walk_starts_again() -> None:
    kept = seal().sealed({"next": "/s?token=abc123xyz"})
    with pytest.raises(CursorRejected):
        seal("another-api-key").opened(kept)


def test_an_account_without_secrets_seals_for_its_own_process_alone() -> None:
    here, elsewhere = (CursorSeal("acme", [], Redactor()) for _ in range(2))
    kept = here.sealed({"next": "/s?token=abc123xyz"})
    assert here.opened(kept) == {"next": "/s?token=abc123xyz"}
    with pytest.raises(CursorRejected):
        elsewhere.opened(kept)


def test_a_text_that_only_looks_sealed_comes_back_as_it_is() -> None:
    cursor = {"next": "/s?a=sealed.1.AAAA", "after": "sealed.1.BBBB"}
    assert seal().opened(seal().sealed(cursor)) == cursor


@given(st.dictionaries(st.text(max_size=9), st.text(max_size=60) | st.integers() | st.booleans() | st.none()))
def test_every_cursor_comes_back_as_it_was(cursor: dict[str, Any]) -> None:
    kept = json.loads(json.dumps(seal().sealed(cursor)))
    assert seal().opened(kept) == cursor


names = st.sampled_from(["token", "sig", "page", "PageToken", "o", "api_key", "password"])


@given(st.lists(st.tuples(names, st.text("abc123%&=?#/+", max_size=12)), max_size=5))
def test_every_link_comes_back_to_the_letter(parameters: list[tuple[str, str]]) -> None:
    link = "/v1/sims?" + "&".join(f"{name}={value}" for name, value in parameters)
    assert seal().opened(seal().sealed({"next": link})) == {"next": link}


# --- a carrier that asks for its token -------------------------------------------------------------------------------


def acme(folder: Path, server: RawServer, auth: str = f"{{type: bearer, token: {PASSWORD}}}") -> CarrierConfig:
    return declared(
        folder,
        f"""
        type: rest
        base_url: {server.url}
        auth: {auth}
        list: {{path: /v1/sims, records: data, pagination: {{type: next_link, path: next}}}}
        fields: {{sim_id: id, iccid: iccid}}
        """,
    )


def asks_for_its_token(received: Received) -> bytes:
    """Give three pages, the second and third only to who sends the token of the link that leads there."""
    asked = told(received)
    offset = int(asked.get("o", "0"))
    if offset and asked.get("token") != f"{ISSUED}{offset}":
        return reply(400, {"detail": f"no token, or not this one: {received.target}"})
    link = f"/v1/sims?o={offset + 1}&token=t0ken%2Fof%2Bpage{offset + 1}" if offset < 2 else None
    return reply(200, {"data": [{"id": f"s{offset}", "iccid": iccid(offset)}], "next": link})


def test_a_token_of_the_link_is_sent_by_every_process_and_stored_by_none(tmp_path: Path) -> None:
    seen: list[str] = []
    with serving(asks_for_its_token) as server:
        cursor: Cursor | None = acme(tmp_path, server).build(MovingTime()).first_cursor()
        while cursor is not None:
            assert "t0ken" not in stored(cursor)
            page = acme(tmp_path, server).build(MovingTime()).fetch_page(json.loads(stored(cursor)))
            seen += [sim.sim_id for sim in page.sims]
            cursor = page.next_cursor
    assert seen == ["s0", "s1", "s2"]


def test_a_token_of_the_link_stands_in_no_message(tmp_path: Path) -> None:
    with serving(lambda received: reply(400, {"detail": received.target})) as server:
        carrier = acme(tmp_path, server).build(MovingTime())
        with pytest.raises((CursorRejected, UnexpectedResponse)) as refused:
            carrier.fetch_page(seal().sealed({"next": "/v1/sims?o=1&token=t0ken%2Fof%2Bpage1"}))
    assert "o=1" in str(refused.value)
    assert "t0ken" not in str(refused.value)
