"""What the tests of all vendors share: a client that walks a list as the vendor documents it, and reads its records."""

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from sim_sync.simulator.credentials import simulated_credentials
from sim_sync_tests.simulator.raw_http import Client, Seen

_MOST_PAGES = 2000
Headers = Mapping[str, str]
#: A SIM as a record tells it: its id, its status word, and what else by the columns of `carrier_sims`.
ReadSim = tuple[str, str, Mapping[str, str | None]]


@dataclass(frozen=True)
class Call:
    """A request for a page."""

    target: str
    method: str = "GET"
    body: bytes | None = None


@dataclass(frozen=True)
class Dialect:
    """How one vendor is logged in to, walked and read.

    `first` makes the call for the first page of that many records; `following` the next one from the last and its
    answer, or None where the vendor says that the list ends. `login` returns the headers of all list calls.
    """

    vendor: str
    login: Callable[[Client], Headers]
    first: Callable[[int], Call]
    following: Callable[[Call, Seen], Call | None]
    records: Callable[[Seen], list[Any]]
    read: Callable[[Any], list[ReadSim]]
    options: Mapping[str, Any] = field(default_factory=dict)
    page_size: int = 10
    largest_page: int = 100
    name: str = ""

    def __str__(self) -> str:
        return self.name or self.vendor


def ask(carrier: Client, call: Call, headers: Headers) -> Seen:
    """Send a call."""
    kind = {"Content-Type": "application/json"} if call.body is not None else {}
    return carrier.send(call.method, call.target, headers={**headers, **kind}, body=call.body)


def pages(
    carrier: Client, dialect: Dialect, *, page_size: int | None = None, headers: Headers | None = None
) -> Iterator[Seen]:
    """Yield the answers of a walk to the vendor's own end."""
    headers = dialect.login(carrier) if headers is None else headers
    call: Call | None = dialect.first(page_size or dialect.page_size)
    for _ in range(_MOST_PAGES):
        if call is None:
            return
        seen = ask(carrier, call, headers)
        assert seen.status in (200, 202), seen.body
        yield seen
        call = dialect.following(call, seen)
    raise AssertionError(f"{dialect}: the walk did not end after {_MOST_PAGES} pages")


def read_walk(carrier: Client, dialect: Dialect, *, page_size: int | None = None) -> list[ReadSim]:
    """Return the SIMs of a whole walk."""
    found = pages(carrier, dialect, page_size=page_size)
    return [sim for seen in found for record in dialect.records(seen) for sim in dialect.read(record)]


def basic_headers(username: str, password: str) -> Headers:
    return {"Authorization": "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()}


def bearer_headers(token: str) -> Headers:
    return {"Authorization": f"Bearer {token}"}


def secret(vendor: str, key: str) -> str:
    return simulated_credentials(vendor)[key]


def target(path: str, **query: object) -> str:
    return f"{path}?{urlencode(query)}"


def with_query(call: Call, **changed: object) -> Call:
    """Return the same call with some parameters changed."""
    parts = urlsplit(call.target)
    query = dict(pair.split("=", 1) for pair in parts.query.split("&") if pair)
    kept = "&".join(f"{name}={value}" for name, value in query.items() if name not in changed)
    return Call("&".join(filter(None, (f"{parts.path}?{kept}", urlencode(changed)))), call.method, call.body)


def posted(path: str, document: Mapping[str, Any]) -> Call:
    return Call(path, "POST", json.dumps(document).encode())


def login(carrier: Client, path: str, document: object, headers: Headers | None = None) -> Any:
    """Post a JSON document to a login, and return what came."""
    sent = {"Content-Type": "application/json", **(headers or {})}
    seen = carrier.send("POST", path, headers=sent, body=json.dumps(document).encode())
    assert seen.status == 200, seen.body
    return seen.json()


def form_login(carrier: Client, path: str, fields: Mapping[str, str], headers: Headers | None = None) -> Any:
    """Post a form to a login, and return what came."""
    sent = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
    seen = carrier.send("POST", path, headers=sent, body=urlencode(fields).encode())
    assert seen.status == 200, seen.body
    return seen.json()
