"""The sample company of the sandbox: Agência Ipê, with one demo user per role that logs in."""

import json
import os
import secrets
from pathlib import Path

from business.people.model import DemoLogin, Tenant
from business.people.service import People
from core.db import Database
from core.errors import Refused, SetupError
from core.processes import unwritable
from core.settings import Settings
from core.tenancy import Role

NAME = "Agência Ipê"
SLUG = "agencia-ipe"
CLIENT_ACCOUNT = "act_100000000000001"  # of the Meta ads simulator: the account that the sample client owns

_USERS = (
    ("ana@ipe.example", "Ana Prado", Role.ADMIN, ()),
    ("diego@ipe.example", "Diego Ramos", Role.DIRETOR, ()),
    ("carla@ipe.example", "Carla Nunes", Role.COMERCIAL, ()),
    ("cliente@ipe.example", "Beatriz Lima", Role.CLIENTE, (CLIENT_ACCOUNT,)),
)


async def ensure_sample_company(settings: Settings, people: People, db: Database) -> Tenant:
    """Make the company, its users and their password where they are missing. Idempotent; any process may call it.

    Refused("demo_outside_sandbox") outside the sandbox.
    """
    if not settings.sandbox:
        raise Refused("demo_outside_sandbox", "the sample company exists in the sandbox only")
    async with db.lock("sample company"):
        password, made = _password(settings.data_dir)
        found = [tenant for tenant in await people.tenants() if tenant.slug == SLUG]
        tenant = found[0] if found else await people.add_tenant(NAME, slug=SLUG)
        users = {user.email: user for user in await people.users(tenant.id)}
        for email, name, role, accounts in _USERS:
            if email not in users:
                await people.add_user(tenant.id, email, name, role, password, accounts=accounts, demo=True)
            elif made:  # the file was lost, or another data folder was put on this database
                await people.set_password(tenant.id, users[email].id, password)
    return tenant


def demo_logins(settings: Settings) -> list[DemoLogin]:
    """The demo users and their passwords, for the operator's eyes. Refused("demo_outside_sandbox")."""
    if not settings.sandbox:
        raise Refused("demo_outside_sandbox", "demo users exist in the sandbox only")
    password, _ = _password(settings.data_dir)
    return [DemoLogin(email, password, name, role) for email, name, role, _ in _USERS]


def _password(data_dir: Path) -> tuple[str, bool]:
    """The demo users' password from `data_dir/secrets/demo.json` (0600), and whether it was made just now."""
    path = data_dir / "secrets" / "demo.json"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.exists():
            return json.loads(path.read_text())["password"], False
        password = "-".join(secrets.token_hex(2) for _ in range(4))  # 64 random bits, easy to type
        fresh = path.with_name(f"demo.{secrets.token_hex(4)}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump({"password": password}, file)
        fresh.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error
    except (ValueError, KeyError):
        raise SetupError("secret_file_broken", f"{path} cannot be read", path=str(path)) from None
    return password, True
