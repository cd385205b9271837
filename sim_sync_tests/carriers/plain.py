"""A carrier without quirks, for tests of how a request is authorised, limited, sent, tried again and judged."""

from collections.abc import Callable
from typing import Any

from pydantic import SecretStr

from sim_sync.carriers.auth import Authorizer, BasicAuth
from sim_sync.carriers.connector import Connector
from sim_sync.carriers.dialect import Dialect
from sim_sync.carriers.messages import Request, Response
from sim_sync.carriers.pagination import NextLinkInBody
from sim_sync.carriers.records import RecordMap
from sim_sync.carriers.settings import CarrierSettings, Credentials, RateLimit, Retry, Timeouts
from sim_sync.carriers.source import RestCarrier
from sim_sync.core.errors import UnexpectedResponse
from sim_sync.core.ports import Waiter
from sim_sync.core.sims import Lifecycle, StatusMeaning, StatusWords
from sim_sync_tests.fakes.moving_time import MovingTime
from sim_sync_tests.fakes.raw_server import reply

USERNAME = "the-account"
PASSWORD = "s3cret/pass+word"
RECORDS = RecordMap(
    fields={"sim_id": "id", "iccid": "iccid", "status": "status"},
    statuses=StatusWords({"active": StatusMeaning(Lifecycle.ACTIVE)}),
)


class AccountAuth(Credentials):
    """A name and a password."""

    username: str = USERNAME
    password: SecretStr = SecretStr(PASSWORD)


def records_of(response: Response) -> list[Any]:
    """Return the records under `sims`."""
    found = response.body.get("sims") if isinstance(response.body, dict) else None
    if not isinstance(found, list):
        raise UnexpectedResponse("expected a list under 'sims', found none")
    return found


def basic(settings: CarrierSettings) -> Authorizer:
    """Return HTTP Basic over the account."""
    return BasicAuth(settings.auth.username, settings.auth.password.get_secret_value())


def connector(
    *,
    dialect: Dialect | None = None,
    build_auth: Callable[[CarrierSettings], Authorizer] = basic,
    records: Callable[[Response], list[Any]] = records_of,
    version: int = 1,
) -> Connector:
    """Return the connector, with what a test is about."""
    return Connector(
        type="plain",
        version=version,
        base_url=None,
        page_size=2,
        auth_model=AccountAuth,
        build_auth=build_auth,
        pagination=lambda settings: NextLinkInBody(
            Request(path="/v1/sims", params={"limit": str(settings.page_size)}), "next"
        ),
        records=records,
        record_map=RECORDS,
        dialect=dialect or Dialect(),
    )


def settings(
    base_url: str,
    *,
    auth: Credentials | None = None,
    rate_limit: RateLimit | None = None,
    retry: Retry | None = None,
    timeouts: Timeouts | None = None,
    page_size: int = 2,
) -> CarrierSettings:
    """Return the settings of an account."""
    return CarrierSettings(
        name="acme",
        base_url=base_url,
        page_size=page_size,
        auth=auth or AccountAuth(),
        rate_limit=rate_limit or RateLimit(),
        retry=retry or Retry(),
        timeouts=timeouts or Timeouts(),
    )


def carrier(
    base_url: str,
    time: MovingTime,
    *,
    of: Connector | None = None,
    waiter: Waiter | None = None,
    given: CarrierSettings | None = None,
) -> RestCarrier:
    """Return a carrier whose every clock is the test's."""
    return RestCarrier(
        of or connector(),
        given or settings(base_url),
        waiter or time,
        chance=lambda: 0.5,
        monotonic=time.monotonic,
        now=time.now,
    )


def page(*ids: str, next_url: str | None = None) -> bytes:
    """Return the answer that is a page of SIMs."""
    sims = [{"id": sim_id, "iccid": f"8988303000000{sim_id:>06}", "status": "active"} for sim_id in ids]
    return reply(200, {"sims": sims, "next": next_url})
