"""How credentials are put on a request. Each way is an object that knows its secrets and shows none of them."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class BasicAuth:
    """HTTP Basic (RFC 7617)."""

    username: str = field(repr=False)
    password: str = field(repr=False)

    def headers(self) -> Mapping[str, str]:
        """Return the `Authorization` header."""
        pair = f"{self.username}:{self.password}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
