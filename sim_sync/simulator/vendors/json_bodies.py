"""Reading the bodies of requests as a strict carrier does: JSON objects and forms, with the media type they need."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from sim_sync.simulator.vendor import Request
from sim_sync.simulator.vendors.parameters import BadParameter


def json_object(request: Request) -> Mapping[str, Any]:
    """Return the JSON object that a request carries.

    Raises:
        BadParameter: it carries another media type, or no object.
    """
    _check_media_type(request, "application/json")
    try:
        document = json.loads(request.body)
    except ValueError:
        raise BadParameter("the body is not JSON") from None
    if not isinstance(document, dict):
        raise BadParameter("the body is not a JSON object")
    return document


def form(request: Request) -> Mapping[str, str]:
    """Return the form that a request carries.

    Raises:
        BadParameter: it carries another media type, or no form.
    """
    _check_media_type(request, "application/x-www-form-urlencoded")
    try:
        return dict(parse_qsl(request.body.decode(), keep_blank_values=True, strict_parsing=True))
    except ValueError:
        raise BadParameter("the body is not a form") from None


def _check_media_type(request: Request, expected: str) -> None:
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != expected:
        raise BadParameter(f"expected a body of the type {expected}", 415)
