"""Each vendor as its documents describe it, from the client's side: written without a look at the simulator's own."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sim_sync.simulator.vendors.thingspace import DEFAULT_ACCOUNT
from sim_sync_tests.simulator.raw_http import Client, Seen, target_of
from sim_sync_tests.simulator.vendors.walking import (
    Call,
    Dialect,
    Headers,
    ReadSim,
    basic_headers,
    bearer_headers,
    form_login,
    login,
    posted,
    secret,
    target,
    with_query,
)


def iso(text: str | None) -> str | None:
    """Bring a vendor's time to the form in which the truth is told."""
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


# Twilio and KORE


def twilio_first(page_size: int) -> Call:
    return Call(f"/v1/Sims?PageSize={page_size}")


def twilio_following(call: Call, seen: Seen) -> Call | None:
    link = seen.json()["meta"]["next_page_url"]
    return None if link is None else Call(target_of(link))


def read_super_sim(record: Any) -> list[ReadSim]:
    told = {
        "iccid": record["iccid"],
        "label": record["unique_name"],
        "account": record["account_sid"],
        "carrier_updated_at": record["date_updated"],
    }
    return [(record["sid"], record["status"], told)]


def read_wireless(record: Any) -> list[ReadSim]:
    (sid, status, told), *_ = read_super_sim(record)
    return [(sid, status, {**told, "rate_plan": record["rate_plan_sid"]})]


def twilio(vendor: str, read: Any) -> Dialect:
    return Dialect(
        vendor=vendor,
        login=lambda _: basic_headers(secret(vendor, "username"), secret(vendor, "password")),
        first=twilio_first,
        following=twilio_following,
        records=lambda seen: list(seen.json()["sims"]),
        read=read,
        largest_page=1000,
    )


def kore_login(carrier: Client) -> Headers:
    fields = {
        "grant_type": "client_credentials",
        "client_id": secret("kore_super_sim", "client_id"),
        "client_secret": secret("kore_super_sim", "client_secret"),
    }
    return bearer_headers(form_login(carrier, "/api-services/v1/auth/token", fields)["access_token"])


KORE = Dialect(
    vendor="kore_super_sim",
    login=kore_login,
    first=twilio_first,
    following=twilio_following,
    records=lambda seen: list(seen.json()["sims"]),
    read=read_super_sim,
    largest_page=1000,
)

# Telnyx


def telnyx_following(call: Call, seen: Seen) -> Call | None:
    meta = seen.json()["meta"]
    number = int(meta["page_number"])
    return with_query(call, **{"page[number]": number + 1}) if number < meta["total_pages"] else None


def read_telnyx(record: Any) -> list[ReadSim]:
    told = {key: record[key] for key in ("iccid", "imsi", "msisdn", "eid")}
    return [(record["id"], record["status"]["value"], {**told, "carrier_updated_at": record["updated_at"]})]


TELNYX = Dialect(
    vendor="telnyx",
    login=lambda _: bearer_headers(secret("telnyx", "api_key")),
    first=lambda size: Call(target("/v2/sim_cards", **{"page[number]": 1, "page[size]": size})),
    following=telnyx_following,
    records=lambda seen: list(seen.json()["data"]),
    read=read_telnyx,
    largest_page=250,
)

# emnify and 1NCE


def counted_following(call: Call, seen: Seen) -> Call | None:
    number = int(seen.headers["X-Current-Page"])
    return with_query(call, page=number + 1) if number < int(seen.headers["X-Total-Pages"]) else None


def read_emnify(record: Any) -> list[ReadSim]:
    endpoint = record["endpoint"] or {}
    told = {key: record[key] for key in ("iccid", "iccid_with_luhn", "imsi", "msisdn", "eid")}
    told |= {"imei": endpoint.get("imei"), "ip_address": endpoint.get("ip_address"), "label": endpoint.get("name")}
    activated = iso(record["activation_date"])
    return [(str(record["id"]), record["status"]["description"], {**told, "activated_at": activated})]


def emnify_login(carrier: Client) -> Headers:
    document = {"application_token": secret("emnify", "application_token")}
    return bearer_headers(login(carrier, "/api/v1/authenticate", document)["auth_token"])


EMNIFY = Dialect(
    vendor="emnify",
    login=emnify_login,
    first=lambda size: Call(target("/api/v1/sim", page=1, per_page=size)),
    following=counted_following,
    records=lambda seen: list(seen.json()),
    read=read_emnify,
    largest_page=2500,
)


def one_nce_login(carrier: Client) -> Headers:
    client = basic_headers(secret("one_nce", "client_id"), secret("one_nce", "client_secret"))
    document = login(carrier, "/oauth/token", {"grant_type": "client_credentials"}, client)
    assert document["expires_in"] > 0
    return bearer_headers(document["access_token"])


def read_one_nce(record: Any) -> list[ReadSim]:
    told = {key: record[key] for key in ("iccid", "iccid_with_luhn", "imsi", "msisdn", "imei", "ip_address")}
    told |= {"label": record.get("label"), "activated_at": iso(record["activation_date"])}
    return [(record["iccid_with_luhn"], record["status"], told)]


ONE_NCE = Dialect(
    vendor="one_nce",
    login=one_nce_login,
    first=lambda size: Call(target("/management-api/v2/sims", page=1, pageSize=size)),
    following=counted_following,
    records=lambda seen: list(seen.json()),
    read=read_one_nce,
)

# Hologram


def hologram_following(call: Call, seen: Seen) -> Call | None:
    page = seen.json()
    assert page["success"] is True
    return with_query(call, startafter=page["lastid"]) if page.get("continues") else None


def read_hologram(device: Any) -> list[ReadSim]:
    held = {"imei": device["imei"], "label": device["name"], "account": str(device["orgid"])}
    return [
        (
            str(link["id"]),
            link["state"],
            {
                **held,
                "iccid": link["sim"],
                "imsi": None if link["imsi"] is None else str(link["imsi"]),
                "msisdn": link["msisdn"],
                "eid": link["eid"],
                "rate_plan": link["plan"]["name"],
            },
        )
        for link in device["links"]["cellular"]
    ]


HOLOGRAM = Dialect(
    vendor="hologram",
    login=lambda _: basic_headers("apikey", secret("hologram", "api_key")),
    first=lambda size: Call(target("/api/1/devices", limit=size)),
    following=hologram_following,
    records=lambda seen: list(seen.json()["data"]),
    read=read_hologram,
    largest_page=5000,
)

# Soracom


def soracom_login(carrier: Client) -> Headers:
    document = {"authKeyId": secret("soracom", "auth_key_id"), "authKey": secret("soracom", "auth_key")}
    granted = login(carrier, "/v1/auth", document)
    return {"X-Soracom-API-Key": granted["apiKey"], "X-Soracom-Token": granted["token"]}


def soracom_following(call: Call, seen: Seen) -> Call | None:
    key = seen.headers.get("x-soracom-next-key")
    return None if key is None else with_query(call, last_evaluated_key=key)


def read_soracom(record: Any) -> list[ReadSim]:
    profile = record["profiles"].get(record["activeProfileId"], {})
    subscriber = profile.get("subscribers", {}).get(profile.get("primaryImsi"), {})
    session = record.get("sessionStatus", {})
    told = {
        "iccid": profile.get("iccid"),
        "imsi": profile.get("primaryImsi"),
        "msisdn": subscriber.get("msisdn"),
        "rate_plan": subscriber.get("subscription"),
        "imei": session.get("imei"),
        "ip_address": session.get("ueIpAddress"),
        "label": record["tags"].get("name"),
        "account": record["operatorId"],
        "carrier_updated_at": f"{datetime.fromtimestamp(record['lastModifiedTime'] / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}",
    }
    return [(record["simId"], record["status"], told)]


SORACOM = Dialect(
    vendor="soracom",
    login=soracom_login,
    first=lambda size: Call(target("/v1/sims", limit=size)),
    following=soracom_following,
    records=lambda seen: list(seen.json()),
    read=read_soracom,
)

# Cisco

_FIRST_YEAR, _LAST_YEAR = 2017, 2026


def _year(year: int, size: int) -> Call:
    window = {"modifiedSince": f"{year}-01-01T00:00:00+00:00", "modifiedTill": f"{year + 1}-01-01T00:00:00+00:00"}
    return Call(target("/rws/api/v1/devices", **window, pageSize=size, pageNumber=1))


def cisco_following(call: Call, seen: Seen) -> Call | None:
    page = seen.json()
    if not page["lastPage"]:
        return with_query(call, pageNumber=page["pageNumber"] + 1)
    found = re.search(r"modifiedSince=(\d{4}).*pageSize=(\d+)", call.target)
    assert found is not None
    year = int(found[1]) + 1
    return _year(year, int(found[2])) if year <= _LAST_YEAR else None


def read_cisco(record: Any) -> list[ReadSim]:
    return [(record["iccid"], record["status"], {"iccid": record["iccid"], "rate_plan": record["ratePlan"]})]


CISCO = Dialect(
    vendor="cisco_control_center",
    login=lambda _: basic_headers(
        secret("cisco_control_center", "username"), secret("cisco_control_center", "api_key")
    ),
    first=lambda size: _year(_FIRST_YEAR, size),
    following=cisco_following,
    records=lambda seen: list(seen.json()["devices"]),
    read=read_cisco,
    largest_page=50,
)

# ThingSpace

THINGSPACE_LIST = "/api/m2m/v1/devices/actions/list"


def thingspace_login(carrier: Client) -> Headers:
    client = basic_headers(secret("thingspace", "client_id"), secret("thingspace", "client_secret"))
    fields = {"grant_type": "client_credentials"}
    access = bearer_headers(form_login(carrier, "/api/ts/v1/oauth2/token", fields, client)["access_token"])
    user = {"username": secret("thingspace", "username"), "password": secret("thingspace", "password")}
    session = login(carrier, "/api/m2m/v1/session/login", user, access)
    return {**access, "VZ-M2M-Token": session["sessionToken"]}


def thingspace_page(size: int, seen: int | None = None) -> Call:
    key = {} if seen is None else {"largestDeviceIdSeen": seen}
    return posted(THINGSPACE_LIST, {"accountName": DEFAULT_ACCOUNT, "maxNumberOfDevices": size, **key})


def extended(device: Any) -> Mapping[str, str]:
    return {pair["key"]: pair.get("value") for pair in device["extendedAttributes"]}


def thingspace_following(call: Call, seen: Seen) -> Call | None:
    page = seen.json()
    assert page["hasMoreData"] is (seen.status == 202)
    size = re.search(rb'"maxNumberOfDevices": (\d+)', call.body or b"")
    assert size is not None
    last = page["devices"][-1] if page["devices"] else None
    return thingspace_page(int(size[1]), int(extended(last)["DeviceId"])) if page["hasMoreData"] else None


def read_thingspace(device: Any) -> list[ReadSim]:
    ids = {pair["kind"].lower(): pair["id"] for pair in device["deviceIds"]}
    service = device["carrierInformations"][0]
    told = {
        "iccid": ids.get("iccid"),
        "imsi": ids.get("imsi"),
        "imei": ids.get("imei"),
        "msisdn": ids.get("mdn"),
        "rate_plan": service["servicePlan"],
        "ip_address": device["ipAddress"],
        "account": device["accountName"],
        "activated_at": device["lastActivationDate"],
    }
    return [(str(ids.get("iccid")), service["state"], told)]


THINGSPACE = Dialect(
    vendor="thingspace",
    login=thingspace_login,
    first=thingspace_page,
    following=thingspace_following,
    records=lambda seen: list(seen.json()["devices"]),
    read=read_thingspace,
    largest_page=2000,
)

# TMF639


def offset_following(call: Call, seen: Seen) -> Call | None:
    found = re.search(r"offset=(\d+)", call.target)
    assert found is not None
    offset = int(found[1]) + int(seen.headers["X-Result-Count"])
    return with_query(call, offset=offset) if offset < int(seen.headers["X-Total-Count"]) else None


def link_following(call: Call, seen: Seen) -> Call | None:
    links = dict(re.findall(r'<([^>]+)>; rel="(\w+)"', seen.headers.get("Link", "")))
    following = next((link for link, relation in links.items() if relation == "next"), None)
    return None if following is None else Call(target_of(following), call.method, call.body)


def read_tmf639(resource: Any) -> list[ReadSim]:
    told = {entry["name"]: entry["value"] for entry in resource["resourceCharacteristic"]}
    columns = {
        "iccid": resource["id"],
        "imsi": told.get("imsi"),
        "msisdn": told.get("msisdn"),
        "imei": told.get("imei"),
        "rate_plan": told.get("ratePlan"),
        "label": resource["name"] or None,
        "activated_at": resource.get("startOperatingDate"),
    }
    return [(resource["id"], resource["resourceStatus"], columns)]


def tmf639(paging: str, first: Any, following: Any) -> Dialect:
    return Dialect(
        vendor="tmf639",
        name=f"tmf639 by {paging}",
        options={"paging": paging},
        login=lambda _: bearer_headers(secret("tmf639", "token")),
        first=first,
        following=following,
        records=lambda seen: list(seen.json()),
        read=read_tmf639,
    )


TMF639_OFFSET = tmf639("offset", lambda size: Call(target("/resource", offset=0, limit=size)), offset_following)
TMF639_CURSOR = tmf639("cursor", lambda size: Call(target("/resource", limit=size)), link_following)

#: One dialect a vendor, the declared REST carriers aside: they have their own module.
DIALECTS = (
    twilio("twilio_super_sim", read_super_sim),
    twilio("twilio_wireless", read_wireless),
    KORE,
    TELNYX,
    EMNIFY,
    ONE_NCE,
    HOLOGRAM,
    SORACOM,
    CISCO,
    THINGSPACE,
    TMF639_OFFSET,
    TMF639_CURSOR,
)
