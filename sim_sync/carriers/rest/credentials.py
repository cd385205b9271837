"""The credentials that `carriers.yaml` can declare for a carrier of the type `rest`."""

from typing import Annotated, Literal, TypeAlias

from pydantic import AliasChoices, Field, SecretStr

from sim_sync.carriers.auth import Authorizer, BasicAuth, BearerAuth, HeaderAuth, NoAuth
from sim_sync.carriers.logins import ClientAuth, ClientCredentials, TokenAuth
from sim_sync.carriers.rest.places import HeaderName, with_a_type
from sim_sync.carriers.settings import CarrierSettings, Credentials, LoginUrl


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
