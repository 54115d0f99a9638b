"""Webhook bodies as Meta posts them, in both generations, for the tests of their reading."""

import json
from typing import Any

NUMBER, WABA, DISPLAY = "100000000000201", "100000000000101", "551940000001"
PHONE, USER = "5519999990001", "BR.13491208655302741918"
AT = "1763650000"


def body(*entries: dict[str, Any]) -> bytes:
    return json.dumps({"object": "whatsapp_business_account", "entry": list(entries)}).encode()


def entry(*values: dict[str, Any], field: str = "messages", waba: str = WABA) -> dict[str, Any]:
    return {"id": waba, "changes": [{"field": field, "value": value} for value in values]}


def value(number: str = NUMBER, **more: Any) -> dict[str, Any]:
    metadata = {"display_phone_number": DISPLAY, "phone_number_id": number}
    return {"messaging_product": "whatsapp", "metadata": metadata} | more


def contact(generation: str = "both") -> dict[str, Any]:
    found: dict[str, Any] = {"profile": {"name": "Ana"}}
    if generation != "user":
        found["wa_id"] = PHONE
    else:
        found["profile"]["username"] = "ana.arq"
    if generation != "phone":
        found["user_id"] = USER
    return found


def message(number: int = 1, generation: str = "both", **more: Any) -> dict[str, Any]:
    """A text, unless `more` says another type."""
    who = {} if generation == "user" else {"from": PHONE}
    who |= {} if generation == "phone" else {"from_user_id": USER}
    what = {} if "type" in more else {"type": "text", "text": {"body": f"oi {number}"}}
    return who | {"id": f"wamid.{number}", "timestamp": AT} | what | more


def status(number: int, said: str, **more: Any) -> dict[str, Any]:
    return {"id": f"wamid.{number}", "status": said, "timestamp": AT, "recipient_id": PHONE} | more


def one(**more: Any) -> bytes:
    """A body with one message, of type and content `more`."""
    return body(entry(value(contacts=[contact()], messages=[message(**more)])))
