"""Error answers in Twilio's shape: `code`, `message`, `more_info`, `status`.

Codes: 20001, 20003, 20404 and 20429 as Twilio's error dictionary and its clients' issue trackers show them. The codes
of 5xx answers are not documented for this API: clients must not depend on them.
"""

from http import HTTPStatus

from sim_sync.simulator.vendor import Response, json_response, phrase_of

_CODES = {400: 20001, 401: 20003, 404: 20404, 405: 20004, 429: 20429, 500: 20500, 503: 20503}
_MESSAGES = {401: "Authenticate", 429: "Too Many Requests"}


def error_response(status: int, message: str | None = None) -> Response:
    """Return Twilio's answer for an error status; 502 and 504 come from the gateway before it, which speaks HTML."""
    if status in (HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT):
        return _gateway_page(HTTPStatus(status))
    code = _CODES.get(status, 20000 + status)
    document = {
        "code": code,
        "message": message or _MESSAGES.get(status) or phrase_of(status),
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }
    headers = {"WWW-Authenticate": 'Basic realm="Twilio API"'} if status == HTTPStatus.UNAUTHORIZED else {}
    return json_response(status, document, headers)


def _gateway_page(status: HTTPStatus) -> Response:
    title = f"{status.value} {status.phrase}"
    page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"
    return Response(status, page.encode(), content_type="text/html")
