"""The connector `rest`: what `carriers.yaml` can declare of a carrier, its credentials and list call, is all it is."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal, NoReturn, TypeAlias

from pydantic import AfterValidator, AliasChoices, Field, SecretStr, model_validator

from sim_sync.carriers.auth import Authorizer, BasicAuth, BearerAuth, HeaderAuth, NoAuth
from sim_sync.carriers.connector import Connector, Totals, totals_at
from sim_sync.carriers.logins import ClientAuth, ClientCredentials, TokenAuth
from sim_sync.carriers.messages import Request, Response
from sim_sync.carriers.pagination import Pagination, RecordsOf, ToBody
from sim_sync.carriers.records import OUR_FIELDS, RecordMap, array_in_body, array_or_nothing, list_at
from sim_sync.carriers.rest.lookup import Lookup
from sim_sync.carriers.rest.responses import Errors, HeaderName, Path, Text, end_signs_of, place_of
from sim_sync.carriers.rest.styles import PageNumberStyle, Style, body_paths
from sim_sync.carriers.settings import (
    CallPath,
    CarrierSettings,
    Credentials,
    LinkRule,
    LoginUrl,
    Options,
    Settings,
    Shaped,
    with_a_type,
)
from sim_sync.core.errors import InternalError
from sim_sync.core.sims import Lifecycle, StatusMeaning, StatusWords

# --- credentials -----------------------------------------------------------------------------------------------------


class Bearer(Credentials):
    """A bearer token that does not change."""

    type: Literal["bearer"]
    token: SecretStr

    def authorizer(self) -> Authorizer:
        """Return what puts it on a request."""
        return BearerAuth(self.token.get_secret_value())


class Basic(Credentials):
    """HTTP Basic."""

    type: Literal["basic"]
    username: str
    password: SecretStr

    def authorizer(self) -> Authorizer:
        """Return what puts it on a request."""
        return BasicAuth(self.username, self.password.get_secret_value())


class Header(Credentials):
    """A key in a header of any name."""

    type: Literal["header"]
    name: HeaderName = Field(validation_alias=AliasChoices("name", "header"))
    value: SecretStr = Field(validation_alias=AliasChoices("value", "key", "token"))

    def authorizer(self) -> Authorizer:
        """Return what puts it on a request."""
        return HeaderAuth(self.name, self.value.get_secret_value())


class OAuth2ClientCredentials(Credentials):
    """OAuth2 client credentials; `client_auth` says how the secret is sent."""

    type: Literal["oauth2_client_credentials"]
    token_url: LoginUrl
    client_id: str
    client_secret: SecretStr
    client_auth: ClientAuth = ClientAuth.FORM
    scope: str | None = None
    audience: str | None = None

    def authorizer(self) -> Authorizer:
        """Return what puts it on a request."""
        extra = {"scope": self.scope, "audience": self.audience}
        return TokenAuth(
            ClientCredentials(
                token_url=self.token_url,
                client_id=self.client_id,
                client_secret=self.client_secret.get_secret_value(),
                client_auth=self.client_auth,
                extra={name: value for name, value in extra.items() if value is not None},
            )
        )


class Nothing(Credentials):
    """No credentials at all."""

    type: Literal["none"]

    def authorizer(self) -> Authorizer:
        """Return what puts nothing on a request."""
        return NoAuth()


DeclaredAuth: TypeAlias = Annotated[
    Bearer | Basic | Header | OAuth2ClientCredentials | Nothing,
    Field(discriminator="type"),
    with_a_type("bearer", "basic", "header", "oauth2_client_credentials", "none"),
]


def declared_auth(settings: CarrierSettings) -> Authorizer:
    """Return the authorizer of the credentials that are declared."""
    authorizer: Authorizer = settings.auth.authorizer()
    return authorizer


# --- the connector ---------------------------------------------------------------------------------------------------

#: Without `statuses`, a carrier whose words are our own is understood.
_OUR_WORDS = StatusWords({word.value: StatusMeaning(word) for word in Lifecycle})


def _field_name(name: str) -> str:
    if name not in OUR_FIELDS:
        raise ValueError(f"a field of a SIM: {', '.join(OUR_FIELDS)}")
    return name


FieldName = Annotated[str, AfterValidator(_field_name)]


class ListCall(Settings):
    """The call that lists the SIMs. `records` is the path to the list; without it the answer is the list itself."""

    path: CallPath
    method: Literal["GET", "POST"] = "GET"
    records: Path | None = None
    params: Mapping[str, Text] = Field(default_factory=dict)
    headers: Mapping[HeaderName, Text] = Field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    links: LinkRule | None = None
    pagination: Style
    lookup: Lookup | None = Field(default=None, exclude=True)

    @model_validator(mode="after")
    def _has_a_body_only_in_a_post(self) -> Any:
        sends_body = self.body is not None or getattr(self.pagination, "to_body", None) is not None
        if sends_body and self.method != "POST":
            raise ValueError("method: POST, because a body is sent (body, or to_body of the pagination)")
        return self

    @model_validator(mode="after")
    def _has_room_for_what_paging_adds(self) -> Any:
        for path in body_paths(self.pagination):
            ToBody(path).put(self.request(), 0)
        return self

    def request(self) -> Request:
        """Return the request without the pagination's part of it."""
        body = self.body if self.method == "GET" else dict(self.body or {})
        return Request(path=self.path, method=self.method, params=self.params, headers=self.headers, body=body)

    def records_of(self) -> RecordsOf:
        """Return what finds the list in an answer: behind the first page, null in its place is an empty one."""
        return array_or_nothing if self.records is None else list_at(self.records, null_is_empty=True)

    def records_of_first_page(self) -> RecordsOf:
        """Return what finds the list in the first answer, where null may also be a typo in `records`."""
        if "null" in self.pagination.end_on:
            return self.records_of()
        return array_in_body if self.records is None else list_at(self.records)


class Declaration(Options):
    """What is declared of the API: the list call, and where each field of a SIM stands in a record."""

    list: ListCall
    errors: Errors = Field(default=Errors(), exclude=True)
    fields: Mapping[FieldName, Path]
    #: The country in which MSISDNs without `+` are dialled (ISO 3166), if it is a national carrier.
    msisdn_region: Annotated[str, Shaped("^[A-Z]{2}$", "the two capital letters of a country, such as US")] | None = (
        None
    )

    @model_validator(mode="after")
    def _has_an_id(self) -> Any:
        if not {"sim_id", "iccid"} & set(self.fields):
            raise ValueError("sim_id or iccid among `fields`: without an id a record is not a SIM")
        return self


def describe(settings: CarrierSettings) -> Connector:
    """Return the connector that an account's keys describe."""
    declared: Declaration = settings.options
    call, lookup = declared.list, declared.list.lookup
    return replace(
        CONNECTOR,
        described_by=None,
        pagination=_pagination,
        records=call.records_of(),
        records_of_first_page=call.records_of_first_page(),
        end_signs=end_signs_of(call.pagination.end_on),
        links=getattr(call.pagination, "links", None) or call.links,
        suspect=call.pagination.suspect(),
        totals=_totals(call.pagination),
        record_map=RecordMap(fields=declared.fields, statuses=_OUR_WORDS, msisdn_region=declared.msisdn_region),
        dialect=declared.errors.dialect(),
        lookup=None if lookup is None else lambda _settings: lookup.rule(),
    )


def _pagination(settings: CarrierSettings) -> Pagination:
    call: ListCall = settings.options.list
    return call.pagination.rule(call.request(), call.records_of(), settings.page_size)


def _totals(style: Style) -> Any:
    pages = place_of(style.total_pages) if isinstance(style, PageNumberStyle) else None
    return totals_at(records=place_of(style.total), pages=pages)


def _undescribed(_response: Response) -> NoReturn:
    raise InternalError("the connector 'rest' was asked before its account described it; please report this as a bug")


def _no_totals(_response: Response) -> Totals:
    return Totals()


CONNECTOR = Connector(
    type="rest",
    base_url=None,
    #: Sent only where the pagination names a parameter for it.
    page_size=100,
    auth_model=DeclaredAuth,
    options_model=Declaration,
    build_auth=declared_auth,
    pagination=_pagination,
    records=_undescribed,
    totals=_no_totals,
    record_map=RecordMap(fields={"sim_id": "id"}, statuses=_OUR_WORDS),
    described_by=describe,
)
