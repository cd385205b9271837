"""Every typo in a declaration is a problem with its key, and none of them a crash."""

from pathlib import Path

import pytest

from sim_sync.core.errors import ConfigError
from sim_sync_tests.carriers.declared import declared

CALL = "{path: /v1/sims, records: data, pagination: {type: page_number, page_param: page}}"


def problems(
    folder: Path,
    *,
    call: str = CALL,
    fields: str = "{sim_id: id}",
    auth: str = "{type: bearer, token: acme-token}",
    base_url: str = "https://api.acme.example",
    more: str = "",
) -> list[str]:
    keys = ["type: rest", f"list: {call}", f"fields: {fields}", f"auth: {auth}", more]
    if base_url:
        keys.append(f"base_url: {base_url}")
    with pytest.raises(ConfigError) as refused:
        declared(folder, "\n".join(keys))
    assert "acme-token" not in str(refused.value)
    return [f"{problem.key}: expected {problem.expected}, found {problem.found}" for problem in refused.value.problems]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"base_url": ""}, "carriers.acme.base_url: expected the URL of your account's API host, found nothing"),
        (
            {"fields": "{sim_id: 'data['}"},
            "carriers.acme.fields.sim_id: expected a JMESPath expression such as meta.total ('data[' is no JMESPath",
        ),
        ({"fields": "{sim_id: id, phone: number}"}, "expected a field of a SIM: sim_id, iccid, "),
        ({"fields": "{status: state}"}, "expected sim_id or iccid among `fields`: without an id a record is not a SIM"),
        ({"call": "{path: v1/sims, pagination: {type: next_link, header: Link}}"}, "carriers.acme.list.path: expected"),
        (
            {"call": "{path: '/v1/sims?a=1', pagination: {type: next_link, header: Link}}"},
            "carriers.acme.list.path: expected",
        ),
        ({"call": "{path: /v1/sims}"}, "carriers.acme.list.pagination: expected a value, found nothing"),
        (
            {"call": "{path: /s, pagination: {type: pages}}"},
            "list.pagination: expected a type: page_number, offset, next_link, cursor or keyset, not pages",
        ),
        (
            {"call": "{path: /s, pagination: {type: page_number}}"},
            "carriers.acme.list.pagination.page_param: expected a value",
        ),
        (
            {"call": "{path: /s, pagination: {type: next_link}}"},
            "expected either path or header, where the link stands",
        ),
        (
            {"call": "{path: /s, pagination: {type: cursor, path: next}}"},
            "expected either to_query or to_body, where the position goes",
        ),
        (
            {"call": "{path: /s, pagination: {type: keyset, field: id, to_body: after}}"},
            "carriers.acme.list: expected method: POST, because a body is sent",
        ),
        (
            {
                "call": "{path: /s, method: POST, pagination: {type: cursor, path: next, to_body: 'vars[0].after'}}",
            },
            "carriers.acme.list.pagination.to_body: expected keys with dots between them, such as paging.cursor",
        ),
        (
            {
                "call": "{path: /s, method: POST, body: {paging: 10}, "
                "pagination: {type: cursor, path: next, to_body: paging.cursor}}",
            },
            "carriers.acme.list: expected an object under 'paging' of `body`, because the pagination puts 'cursor' in",
        ),
        (
            {
                "call": "{path: /s, method: POST, "
                "pagination: {type: keyset, field: id, to_body: after, size_param: 'a..b'}}",
            },
            "expected keys with dots between them, such as paging.cursor (members of lists cannot be named)",
        ),
        (
            {"call": "{path: /s, pagination: {type: next_link, path: next, links: any}}"},
            "carriers.acme.list.pagination.links: expected",
        ),
        (
            {"call": "{path: /s, pagination: {type: offset, offset_param: o, total: 'a['}}"},
            "carriers.acme.list.pagination.total: expected a JMESPath expression",
        ),
        (
            {"call": "{path: /s, pagination: {type: offset, offset_param: o, total: {heading: X}}}"},
            "carriers.acme.list.pagination.total.heading: expected",
        ),
        (
            {"auth": "{token: acme-token}"},
            "carriers.acme.auth: expected a type: bearer, basic, header, oauth2_client_credentials or none, found",
        ),
        ({"auth": "{type: magic, token: acme-token}"}, "or none, not magic, found keys and values"),
        ({"call": "{path: /s, pagination: offset}"}, "carriers.acme.list.pagination: expected"),
        ({"auth": "{type: bearer}"}, "carriers.acme.auth.token: expected a value, found nothing"),
        (
            {
                "auth": "{type: oauth2_client_credentials, client_id: a, client_secret: acme-token, "
                "token_url: 'http://login.example/token'}"
            },
            "carriers.acme.auth.token_url: expected https, because credentials are sent there",
        ),
        ({"more": "msisdn_region: Germany"}, "carriers.acme.msisdn_region: expected"),
        ({"more": "statuses: {LIVE: alive}"}, "carriers.acme.statuses.LIVE"),
    ],
)
def test_a_slip_of_the_pen_is_told_with_its_key(tmp_path: Path, given: dict[str, str], told: str) -> None:
    found = problems(tmp_path, **given)
    assert [text for text in found if told in text], found


def test_all_of_them_are_told_at_once(tmp_path: Path) -> None:
    assert len(problems(tmp_path, base_url="", fields="{iccid: 'a['}", auth="{type: bearer}")) == 3
