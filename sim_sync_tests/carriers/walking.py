"""Walks of a configured account against a server of the test, as a sync does them: page by page, in two processes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from sim_sync.carriers.registry import connectors
from sim_sync.carriers.settings import CarrierSettings
from sim_sync.carriers.source import RestCarrier
from sim_sync.carriers.vendors import cisco_control_center
from sim_sync.core.pages import Cursor, Page, cursor_digest
from sim_sync.core.sims import Sim
from sim_sync_tests.fakes.moving_time import MovingTime
from sim_sync_tests.fakes.raw_server import Received

SPECS = Path(__file__).parent.parent / "specs"


def settings(
    kind: str,
    base_url: str,
    auth: Mapping[str, Any],
    *,
    options: Mapping[str, Any] | None = None,
    page_size: int | None = None,
    **more: Any,
) -> CarrierSettings:
    """Return the settings of an account as `carriers.yaml` would give them."""
    connector = connectors()[kind]
    return CarrierSettings(
        name="acme",
        base_url=base_url,
        page_size=page_size or connector.page_size,
        auth=TypeAdapter(connector.auth_model).validate_python(auth),
        options=connector.options_model.model_validate(options or {}),
        **{"rate_limit": connector.rate_limit, **more},
    )


def carrier(kind: str, given: CarrierSettings, time: MovingTime) -> RestCarrier:
    """Return the carrier as a new process would build it, with the test's clocks."""
    connector = connectors()[kind]
    if kind == cisco_control_center.CONNECTOR.type:  # the only walk that looks at the time
        connector = replace(connector, pagination=lambda account: cisco_control_center.list_devices(account, time.now))
    return RestCarrier(connector, given, time, chance=lambda: 0.5, monotonic=time.monotonic, now=time.now)


@dataclass(frozen=True)
class Walk:
    """What a walk brought."""

    pages: Sequence[Page]

    @property
    def sims(self) -> list[Sim]:
        """The SIMs of all pages, in their order."""
        return [sim for page in self.pages for sim in page.sims]

    def column(self, name: str) -> list[Any]:
        """Return one field of all SIMs."""
        return [getattr(sim, name) for sim in self.sims]


def walk(kind: str, given: CarrierSettings, *, time: MovingTime | None = None, killed_after: int = 2) -> Walk:
    """Walk to the end. After some pages another process continues, with nothing but the cursor."""
    time = time or MovingTime()
    here = carrier(kind, given, time)
    cursor: Cursor | None = here.first_cursor()
    used: set[str] = set()
    pages: list[Page] = []
    while cursor is not None:
        assert cursor_digest(cursor) not in used
        used.add(cursor_digest(cursor))
        if len(pages) == killed_after:
            here = carrier(kind, given, time)
        page = here.fetch_page(json.loads(json.dumps(cursor)))
        pages.append(page)
        cursor = page.next_cursor
    return Walk(pages)


def told(received: Received) -> dict[str, str]:
    """Return the query of a request, each parameter once."""
    assert all(len(values) == 1 for values in received.query.values())
    return {name: values[0] for name, values in received.query.items()}


def documented_parameters(spec: str, path: str) -> set[str]:
    """Return the names of the query parameters that a vendor's own OpenAPI file gives an operation."""
    document = json.loads((SPECS / spec).read_text())
    shared = document["components"].get("parameters", {})
    listed = document["paths"][path]["get"]["parameters"]
    return {shared[entry["$ref"].rpartition("/")[2]]["name"] if "$ref" in entry else entry["name"] for entry in listed}


def iccid(number: int, *, digits: int = 20) -> str:
    """Return an ICCID, with its check digit where it has 20 digits."""
    stem = f"894450{number:013d}"
    if digits == 19:
        return stem
    doubled = sum(
        int(digit) if place % 2 else sum(divmod(2 * int(digit), 10)) for place, digit in enumerate(reversed(stem))
    )
    return f"{stem}{-doubled % 10}"
