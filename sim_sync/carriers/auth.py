"""How credentials are put on a request. Each way is an object that knows its secrets and shows none of them."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class BasicAuth:
    """HTTP Basic (RFC 7617)."""

    username: str = field(repr=False)
    password: str = field(repr=False)

    def headers(self) -> Mapping[str, str]:
        """Return the `Authorization` header."""
        return {"Authorization": f"Basic {self._encoded()}"}

    def secrets(self) -> Sequence[str]:
        """Return the forms in which the password travels."""
        return [self.password, f"{self.username}:{self.password}"]

    def _encoded(self) -> str:
        return base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
