"""The options of a `rest` mount: which of the usual shapes its API has. Nothing here is any one vendor's."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from sim_sync.simulator.vendors.auth import TokenOptions

Pagination = Literal["page_number", "offset", "next_link", "cursor", "keyset"]
Total = Literal["total_pages", "total", "header", "last_page", "none"]
Place = Literal["body", "header"]


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class RestOptions(TokenOptions):
    """The shape of the API.

    | `pagination` | parameters | what the answer tells |
    |---|---|---|
    | `page_number` | `page`, `per_page` | by `total` |
    | `offset` | `offset`, `limit` | by `total` |
    | `next_link` | `cursor`, `limit` | `links.next` (null at the end), or a header `Link` (absent at the end) |
    | `cursor` | `cursor`, `limit` | `meta.next_cursor` (null at the end), or a header `X-Next-Cursor` (absent) |
    | `keyset` | `after`, `limit` | nothing but `meta.more`; the next key is the last record's `id` |

    `total`: `total_pages` and `total` stand under `meta`, `header` is `X-Total-Count`, `last_page` a flag under `meta`;
    `none` tells nothing and an empty page is the end; not given, it is `total_pages` for page numbers and `total` for
    offsets. `place`: where the next link or cursor stands. `more`: `meta.more` says whether the list continues.
    `records`: the dotted path of the array, empty where the body is the array itself. With `method` POST, the
    parameters come in the JSON body; they may come in the query as well.
    """

    path: Annotated[str, Field(pattern=r"^/[A-Za-z0-9/_.-]+$")] = "/v1/sims"
    method: Literal["GET", "POST"] = "GET"
    pagination: Pagination = "page_number"
    first_page: Literal[0, 1] = 1
    total: Total | None = None
    place: Place = "body"
    more: bool = False
    records: Annotated[str, Field(pattern=r"^([a-z_]+(\.[a-z_]+)*)?$")] = "data"
    max_page_size: Annotated[int, Field(ge=1, le=5000)] = 500
    authentication: Literal["bearer", "basic", "header", "oauth2_client_credentials", "none"] = "bearer"
    header: str = "X-API-Key"

    @property
    def told_total(self) -> Total:
        """How the whole is told where pages are counted."""
        return self.total or ("total_pages" if self.pagination == "page_number" else "total")
