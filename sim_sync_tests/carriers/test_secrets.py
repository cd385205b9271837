"""Known secrets are hidden in every form in which they may come back."""

import base64
import json
import threading
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_sync.carriers.secrets import HIDDEN, Redactor

secrets = st.text(min_size=4, max_size=60).filter(lambda text: len(text.strip()) >= 4)


@given(secrets, st.text(max_size=20), st.text(max_size=20))
def test_a_secret_is_hidden_in_whatever_form_it_comes_back(secret: str, before: str, after: str) -> None:
    redactor = Redactor([secret])
    encoded = base64.b64encode(secret.encode()).decode()
    forms = [secret, quote(secret, safe=""), quote_plus(secret), urlencode({"q": secret})[2:], encoded]
    forms += [json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1]]
    for form in forms:
        assert redactor(form) == HIDDEN
        assert HIDDEN in redactor(f"{before}{form}{after}")


def test_the_pair_of_http_basic_is_hidden() -> None:
    encoded = base64.b64encode(b"user:s3cret").decode()
    assert redacted(["s3cret", "user:s3cret"], f"Authorization: Basic {encoded}") == f"Authorization: Basic {HIDDEN}"


def test_a_longer_secret_is_hidden_whole_where_it_holds_a_shorter_one() -> None:
    assert redacted(["s3cret", "s3cret-and-more"], "x s3cret-and-more y s3cret") == f"x {HIDDEN} y {HIDDEN}"


def test_a_secret_that_was_read_with_its_line_end_is_hidden_without_it_too() -> None:
    assert redacted(["s3cret\n"], "token s3cret") == f"token {HIDDEN}"


def test_a_secret_that_is_no_text_is_hidden_too() -> None:
    assert redacted(["s3cret\udcff"], "token s3cret\udcff and s3cret%FF") == f"token {HIDDEN} and {HIDDEN}"


def test_words_are_not_hidden_because_a_secret_is_short() -> None:
    assert redacted(["a", "", "abc"], "abc and a cab") == "abc and a cab"


def test_what_only_messages_must_not_show_is_no_secret_of_a_record() -> None:
    redactor = Redactor(["s3cret-token"], not_in_messages=["our-account"])
    assert redactor("our-account has s3cret-token") == f"{HIDDEN} has {HIDDEN}"
    assert redactor.in_record("our-account has s3cret-token") == f"our-account has {HIDDEN}"
    assert redactor.finds_one_in("s3cret-token")
    assert not redactor.finds_one_in("our-account")


@pytest.mark.parametrize(
    ("secret", "text", "stored"),
    [
        ("4711", "8944500000047110013", "8944500000047110013"),
        ("4711", "PIN 4711, IMSI 234500004711", f"PIN {HIDDEN}, IMSI 234500004711"),
        ("test", "latest test, testing", f"latest {HIDDEN}, testing"),
        ("12345678", "+4912345678", "+4912345678"),
        ("s3cret-token", "xs3cret-tokeny", f"x{HIDDEN}y"),
    ],
)
def test_a_short_secret_in_a_record_counts_if_it_stands_alone(secret: str, text: str, stored: str) -> None:
    assert Redactor([secret]).in_record(text) == stored


def test_a_token_that_was_just_issued_is_hidden_from_then_on() -> None:
    redactor = Redactor()
    assert redactor("fresh-token") == "fresh-token"
    redactor.add("fresh-token")
    assert redactor("fresh-token") == HIDDEN


def test_no_secret_is_lost_when_many_threads_add_theirs() -> None:
    redactor = Redactor()
    together = threading.Barrier(8)

    def add(number: int) -> None:
        together.wait(timeout=30)
        for n in range(50):
            redactor.add(f"secret-{number}-{n}-end")

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(redactor(f"secret-{number}-{n}-end") == HIDDEN for number in range(8) for n in range(50))


def test_a_redactor_shows_nothing_of_what_it_hides() -> None:
    assert "s3cret" not in repr(Redactor(["s3cret"]))


def redacted(secrets: list[str], text: str) -> str:
    return Redactor(secrets)(text)
