"""Connecting e-mail and SMS: the service is asked whether it lets us in, as far as it can be asked without sending, and
then the channel is kept."""

from collections.abc import Mapping
from typing import Any, Literal, Protocol

from business.messaging.channels import Channel, Channels
from core.errors import Unavailable
from core.tenancy import Identity


class LooksWith(Protocol):
    """A sender that can be asked with a key that is not kept yet (sender_email.py, sender_sms.py)."""

    async def look(self, channel: Channel, key: str = "") -> None: ...


async def connect_outlet(
    channels: Channels,
    sender: LooksWith,
    who: Identity,
    provider: Literal["email", "sms"],
    number: str,
    *,
    name: str = "",
    account: str = "",
    base_url: str = "",
    settings: Mapping[str, Any] | None = None,
    secrets: Mapping[str, str],
) -> tuple[Channel, Unavailable | None]:
    """The channel, and what kept us from asking: such a one is kept unasked.

    Nothing is kept, and what was there stays, when the service refuses: errors of `look` and of `Channels.save`.
    """
    number = number.strip()
    known = await channels.of(who.tenant_id)
    old = next((one for one in known if (one.provider, one.number) == (provider, number)), None)
    url, account = base_url or (old.base_url if old else ""), account or (old.account if old else "")
    world = channels.environment(provider)
    wanted = Channel(
        "", who.tenant_id, provider, number, name or number, "", account, world, url, "active", None,
        settings=dict(settings or {}),
    )  # fmt: skip
    unasked = None
    try:
        await sender.look(wanted, next(iter(secrets.values())))
    except Unavailable as error:
        unasked = error
    kept = await channels.save(
        who, provider, number, name=name, account=account, base_url=base_url, settings=settings, secrets=secrets
    )
    return kept, unasked
