"""What is asked of a carrier and what it answers, as plain values that pagination rules and tests can look at."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sim_sync.core.errors import renamed_names


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, without its credentials. `path` starts with a slash; `body` is sent as JSON, `form` as a form."""

    path: str
    method: str = "GET"
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    form: Mapping[str, str] | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path.partition('?')[0]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One answer: its status, its headers with lower-case names, and its body as JSON (None where it had none)."""

    status: int
    headers: Mapping[str, str]
    body: Any


__getattr__ = renamed_names(__name__, {"Ask": Request, "Answer": Response})
