"""The settings of one account at a carrier, as `carriers.yaml` gives them. Vendors' limits move, so all are here."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from sim_sync.core.sims import StatusMeaning

Seconds = Annotated[float, Field(gt=0, le=86_400)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RateLimit(_Settings):
    """How fast a carrier may be asked; None is no limit of ours."""

    requests_per_second: Annotated[float, Field(gt=0, le=10_000)] | None = None
    burst: Annotated[int, Field(ge=1, le=10_000)] | None = None
    max_in_flight: Annotated[int, Field(ge=1, le=64)] = 1
    #: Accounts with the same key share one limit, also across processes.
    shared_key: str | None = None


class Timeouts(_Settings):
    """How long one request may take to connect, and how long the carrier may be silent."""

    connect_seconds: Seconds = 5.0
    read_seconds: Seconds = 30.0


class Retry(_Settings):
    """How what passes by itself is ridden out: `min(base * 2**attempt, ceiling) + random() * base` between attempts."""

    base_seconds: Annotated[float, Field(gt=0, le=3600)] = 1.0
    ceiling_seconds: Annotated[float, Field(gt=0, le=86_400)] = 60.0
    max_attempts: Annotated[int, Field(ge=1, le=100)] = 8
    #: A longer wait than this gives the worker back.
    park_after_seconds: Annotated[float, Field(ge=0, le=86_400)] = 300.0
    #: So many resumes in a row without one committed page, and the session is given up.
    max_stalled_resumes: Annotated[int, Field(ge=1, le=1000)] = 5


class CarrierSettings(_Settings):
    """All that a connector gets to know about an account. `auth` holds secrets: it is never printed."""

    name: str
    base_url: str
    page_size: int
    auth: Mapping[str, str] = Field(repr=False)
    options: Mapping[str, Any] = Field(default_factory=dict)
    statuses: Mapping[str, StatusMeaning] = Field(default_factory=dict)
    rate_limit: RateLimit = RateLimit()
    timeouts: Timeouts = Timeouts()
    retry: Retry = Retry()
