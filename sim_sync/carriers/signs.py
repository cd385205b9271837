"""What carriers agree about, though no standard says so: signs of "slower", "log in again", "an error". Pure.

Each reads status, headers and words of an answer. A vendor's own way is in its `Dialect`, on top of these.
"""

import re
from collections.abc import Mapping
from typing import Any

from sim_sync.carriers.documents import members, texts
from sim_sync.carriers.messages import Response
from sim_sync.carriers.waits import asks_for_a_wait, is_limit_used_up

#: Refusals that mean just that, whatever stands beside them: who asks (401, 407), and what is asked for (404, 410).
_REFUSED_FOR_GOOD = frozenset({401, 404, 407, 410})
#: 401 is HTTP's; 419, 440 and 498 are those of frameworks and gateways for a session or token that ran out.
_EXPIRED_STATUSES = frozenset({401, 419, 440, 498})
_SLOWER = re.compile(
    r"rate.?limit|too.{0,3}many.{0,3}(?:request|call)|throttl|slow.{0,3}down|over.{0,3}qps|too.(?:fast|frequent)"
    r"|(?:request|call|api|usage|daily|hourly)s?.{0,3}limit.{0,3}(?:exceed|reach)"
    r"|quota.{0,20}(?:exceed|exhaust|reach|used.up)|exceed.{0,20}(?:quota|\brate\b)",
    re.IGNORECASE | re.DOTALL,
)
_EXPIRED = re.compile(
    r"(?:token|session|jwt|login).{0,20}(?:expired|invalid|no longer|not valid)"
    r"|(?:expired|invalid).{0,3}(?:token|session|jwt)",
    re.IGNORECASE | re.DOTALL,
)
_DENIED = re.compile(
    r"unauthori[sz]ed|unauthenticated|not.authori[sz]ed|forbidden|access.denied|permission.denied"
    r"|(?:invalid|wrong|bad|unknown).{0,3}(?:credential|password|api.?key|client|token)|authentication.{0,3}fail",
    re.IGNORECASE | re.DOTALL,
)
_TEMPORARY = re.compile(
    r"temporar|unavailable|server.{0,3}error|internal|try.{0,3}again|time.?out|maintenance", re.IGNORECASE
)
#: Members of a document that say how it went, without marks and case.
_FLAGS = frozenset({"success", "successful", "issuccess", "ok"})
_ERRORS = frozenset({"error", "errors", "errormessage", "errorcode", "errordescription"})
_OUTCOMES = frozenset({"status", "result", "outcome"})
_CODES = frozenset({"status", "statuscode", "code", "httpstatus"})
_FAILURES = frozenset({"error", "err", "fail", "failed", "failure"})
_NOTHING = frozenset({"", "0", "ok", "none", "null", "no", "false", "success", "no error", "nan"})
_MARKS = re.compile(r"[^a-z]")


def asks_to_slow_down(response: Response) -> bool:
    """Say yes to a refusal (4xx), or an error told with a 2xx, that means "slower": by a wait, a limit, or its words.

    Examples: GitHub's, Google's and Mashery's 403, AWS's 400, a 200 with `{"error": "rate limit exceeded"}`.
    """
    if 400 <= response.status < 500 and response.status not in _REFUSED_FOR_GOOD:
        return asks_for_a_wait(response) or is_limit_used_up(response.headers) or _says(response, _SLOWER)
    return documents_an_error(response) and (_has_code(response.body, {429}) or _says(response, _SLOWER))


def says_that_login_expired(response: Response) -> bool:
    """Say yes where the credentials on the request are no longer taken."""
    challenge = response.headers.get("www-authenticate", "")
    return response.status in _EXPIRED_STATUSES or (response.status >= 400 and "invalid_token" in challenge)


def may_be_an_expired_login(response: Response) -> bool:
    """Say yes to what means an expired login if the same credentials were taken before: 403, or words that say so."""
    if response.status == 403:
        return True
    is_error = 400 <= response.status < 500 or documents_an_error(response)
    return is_error and (_has_code(response.body, {401, 403}) or _says(response, _EXPIRED))


def documents_an_error(response: Response) -> bool:
    """Say yes to a 2xx whose body is an error document: `success: false`, an `error`, `status: error`, `code: 500`."""
    if not (200 <= response.status < 300 and isinstance(response.body, Mapping)):
        return False
    return any(_reports_an_error(_bare(str(key)), value) for key, value in response.body.items())


def denies_access(response: Response) -> bool:
    """Say yes to an error document of a 2xx that means refused credentials."""
    return documents_an_error(response) and (
        _has_code(response.body, {401, 403}) or _says(response, _DENIED) or _says(response, _EXPIRED)
    )


def refuses_a_login(response: Response) -> bool:
    """Say yes to an error document of a 2xx to a login, unless it speaks of the carrier's own trouble."""
    if not documents_an_error(response):
        return False
    return not (_has_code(response.body, set(range(500, 600))) or _says(response, _TEMPORARY))


def _reports_an_error(key: str, value: Any) -> bool:
    if key in _FLAGS:
        return value is False
    if key in _ERRORS:
        return _is_something(value)
    is_failure = key in _OUTCOMES and isinstance(value, str) and value.strip().lower() in _FAILURES
    return is_failure or (key in _CODES and _code_of(value) in range(400, 600))


def _is_something(value: Any) -> bool:
    """Return whether an error is told: `{"code": 0, "message": "OK"}` and `[]` are none."""
    if isinstance(value, Mapping | list):
        return any(_is_something(member) for _, member in members(value) if not isinstance(member, Mapping | list))
    return value is not None and str(value).strip().lower() not in _NOTHING


def _has_code(body: Any, codes: set[int]) -> bool:
    return any(_bare(key) in {*_CODES, "errorcode"} and _code_of(value) in codes for key, value in members(body))


def _code_of(value: Any) -> int | None:
    if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isdigit():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _says(response: Response, words: re.Pattern[str]) -> bool:
    return any(words.search(text) for text in texts(response.body))


def _bare(key: str) -> str:
    return _MARKS.sub("", key.lower())
