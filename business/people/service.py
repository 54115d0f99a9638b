"""Adding tenants and users, and letting them in.

Passwords are kept as argon2id hashes. Guessing is slowed in PostgreSQL, so that several processes count together.
Demo users exist in the sandbox only: outside it they can be neither made nor used.
"""

import asyncio
import contextlib
import hashlib
import re
import unicodedata
from collections.abc import Iterable
from datetime import timedelta
from math import ceil

import psycopg
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from business.people.model import Tenant, User
from core.audit import audit
from core.clock import Clock
from core.db import Connection, Database, fetch_all, fetch_one
from core.errors import ArgumentsWrong, Refused
from core.ids import new_id
from core.tenancy import Identity, Role
from core.turn import LANGUAGES

SHORTEST_PASSWORD = 10  # characters; NIST SP 800-63B asks 8 at least, and length counts more than variety
LONGEST_PASSWORD = 256  # a hash of megabytes would be a way to keep us busy
FAILURES_FROM_ONE_PLACE = 5
"""Of one e-mail from one address. Counted together, so that a stranger's guesses elsewhere do not lock a person out."""
FAILURES_PER_EMAIL = 50
"""Of one e-mail from anywhere: a guesser with many addresses is slowed to 200 tries an hour."""
FAILURES_PER_ADDRESS = 20
WINDOW = timedelta(minutes=15)

_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+")


class People:
    """Tenants and users. `sandbox` says whether demo users may exist; `hasher` is argon2id as RFC 9106 advises."""

    def __init__(self, db: Database, clock: Clock, *, sandbox: bool, hasher: PasswordHasher | None = None) -> None:
        self._db = db
        self._clock = clock
        self._sandbox = sandbox
        self._hasher = hasher or PasswordHasher()
        self._nobody: str | None = None  # a hash that no password opens, made at the first login

    # --- tenants ------------------------------------------------------------------------------

    async def add_tenant(
        self, name: str, *, slug: str | None = None, language: str = "pt-BR", time_zone: str = "America/Sao_Paulo"
    ) -> Tenant:
        """A new company. ArgumentsWrong: name_empty, language_unknown, tenant_exists (slug)."""
        name = _line(name)
        slug = slug or _slug(name)
        if not name or not slug:
            raise ArgumentsWrong("name_empty", "a tenant needs a name")
        if language not in LANGUAGES:
            raise ArgumentsWrong("language_unknown", f"no texts in {language!r}", language=language)
        tenant = Tenant(new_id("tenant"), slug, name)
        try:
            async with self._db.tenant(tenant.id) as conn:
                await conn.execute(
                    "INSERT INTO tenants (id, name, slug, language, time_zone, created_at)"
                    " VALUES (%s, %s, %s, %s, %s, %s)",
                    [tenant.id, name, slug, language, time_zone, self._clock.now()],
                )
                await audit(conn, "system", "tenant.added", tenant.id, {"slug": slug})
        except psycopg.errors.UniqueViolation:
            raise ArgumentsWrong("tenant_exists", f"there is a tenant {slug!r} already", slug=slug) from None
        return tenant

    async def tenants(self) -> list[Tenant]:
        """All tenants, oldest first. For the operator and for jobs that serve them all, never for a user."""
        async with self._db.system() as conn:
            rows = await fetch_all(conn, "SELECT id, slug, name FROM list_tenants()")
        return [Tenant(row["id"], row["slug"], row["name"]) for row in rows]

    async def tenant(self, slug_or_id: str | None) -> Tenant:
        """The tenant of this slug or id; for None the only one there is.

        ArgumentsWrong: tenant_unknown (tenant, known), tenant_needed (known: the slugs to choose from), tenant_none.
        """
        tenants = await self.tenants()
        known = ", ".join(tenant.slug for tenant in tenants)
        if slug_or_id is None:
            if len(tenants) == 1:
                return tenants[0]
            if not tenants:
                raise ArgumentsWrong("tenant_none", "there is no tenant yet")
            raise ArgumentsWrong("tenant_needed", f"which tenant? {known}", known=known)
        for tenant in tenants:
            if slug_or_id in (tenant.slug, tenant.id):
                return tenant
        raise ArgumentsWrong("tenant_unknown", f"no tenant {slug_or_id!r}", tenant=slug_or_id, known=known)

    # --- users --------------------------------------------------------------------------------

    async def add_user(
        self,
        tenant_id: str,
        email: str,
        name: str,
        role: str,
        password: str | None,
        *,
        accounts: Iterable[str] = (),
        demo: bool = False,
    ) -> User:
        """A new user. `accounts` are the ad account ids that a partial role may see; without `password` no login.

        ArgumentsWrong: email_invalid, role_unknown (role, roles), password_short (least), password_long, user_exists,
        name_empty, tenant_unknown. Refused("demo_outside_sandbox").
        """
        email = _line(email).lower()
        name = _line(name)
        if demo and not self._sandbox:
            raise Refused("demo_outside_sandbox", "demo users exist in the sandbox only")
        if not name:
            raise ArgumentsWrong("name_empty", "a user needs a name")
        if not _EMAIL.fullmatch(email):
            raise ArgumentsWrong("email_invalid", f"{email!r} is no e-mail address", email=email)
        if role not in list(Role):
            roles = ", ".join(Role)
            raise ArgumentsWrong("role_unknown", f"{role!r} is none of {roles}", role=role, roles=roles)
        hashed = None if password is None else await self._hash(password)
        user_id = new_id("user")
        try:
            async with self._db.tenant(tenant_id) as conn:
                await conn.execute(
                    "INSERT INTO users (id, tenant_id, email, name, role, password_hash, demo, created_at)"
                    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                    [user_id, tenant_id, email, name, role, hashed, demo, self._clock.now()],
                )
                for account_id in sorted(set(accounts)):
                    await conn.execute(
                        "INSERT INTO user_accounts (tenant_id, user_id, account_id) VALUES (%s, %s, %s)",
                        [tenant_id, user_id, account_id],
                    )
                await audit(conn, "system", "user.added", user_id, {"role": role, "demo": demo})
                return await _user(conn, user_id)
        except psycopg.errors.UniqueViolation:
            raise ArgumentsWrong("user_exists", f"{email} has a user already", email=email) from None
        except psycopg.errors.ForeignKeyViolation:
            raise ArgumentsWrong("tenant_unknown", f"no tenant {tenant_id!r}", tenant=tenant_id, known="") from None

    async def users(self, tenant_id: str) -> list[User]:
        """The users of a tenant, oldest first."""
        async with self._db.tenant(tenant_id) as conn:
            return await _users(conn, "true", [])

    async def set_password(self, tenant_id: str, user_id: str, password: str) -> None:
        """A new password, which also ends a wait after failed logins.

        ArgumentsWrong: password_short (least), password_long (most). Refused("user_gone").
        """
        hashed = await self._hash(password)
        async with self._db.tenant(tenant_id) as conn:
            changed = await conn.execute("UPDATE users SET password_hash = %s WHERE id = %s", [hashed, user_id])
            if changed.rowcount == 0:
                raise Refused("user_gone", f"no user {user_id}")
            row = await fetch_one(conn, "SELECT email FROM users WHERE id = %s", [user_id])
            assert row is not None
            await conn.execute("DELETE FROM login_attempts WHERE email_hash = %s AND NOT ok", [_hash_of(row["email"])])
            await audit(conn, "system", "user.password", user_id, {})

    async def identity(self, tenant_id: str, user_id: str) -> Identity:
        """Who this user is now, read from the database at every call: a demoted or removed user loses rights at once.

        Refused("user_gone") when there is no such active user, or it is a demo user outside the sandbox.
        """
        query = """
            SELECT u.name, u.email, u.role, u.active, u.demo, coalesce(u.language, t.language) AS language, t.time_zone,
                   p.access LIKE '%%*' AS partial,
                   array(SELECT account_id FROM user_accounts a WHERE a.user_id = u.id) AS accounts
            FROM users u
            JOIN tenants t ON t.id = u.tenant_id
            LEFT JOIN role_permissions p ON p.role = u.role AND p.area = 'ads'
            WHERE u.id = %s
        """
        async with self._db.tenant(tenant_id) as conn:
            row = await fetch_one(conn, query, [user_id])
        if row is None or not row["active"] or (row["demo"] and not self._sandbox):
            raise Refused("user_gone", f"user {user_id} may not act")
        return Identity(
            tenant_id=tenant_id,
            user_id=user_id,
            role=Role(row["role"]),
            name=row["name"],
            email=row["email"],
            language=row["language"],
            time_zone=row["time_zone"],
            accounts=frozenset(row["accounts"]) if row["partial"] else None,
        )

    async def identity_by_role(self, tenant_id: str, role: Role) -> Identity:
        """The tenant's oldest active user of this role, for the terminal, which the operating system guards.

        ArgumentsWrong("user_of_role_unknown", role) when there is none.
        """
        for user in await self.users(tenant_id):
            if user.role == role and user.active and (self._sandbox or not user.demo):
                return await self.identity(tenant_id, user.id)
        raise ArgumentsWrong("user_of_role_unknown", f"no user with the role {role}", role=str(role))

    async def responsible(self, tenant_id: str, owner_id: str | None) -> Identity:
        """Who stands for a record where no user asks: its owner; the oldest Admin where it has none, or they are gone.

        ArgumentsWrong("user_of_role_unknown", role) when there is neither.
        """
        if owner_id:
            with contextlib.suppress(Refused):
                return await self.identity(tenant_id, owner_id)
        return await self.identity_by_role(tenant_id, Role.ADMIN)

    async def agent(self, tenant_id: str) -> Identity:
        """Who acts where no user asks: in conversations with people outside. Of the role Agente_IA, without a password;
        made when the tenant has none yet. Refused("user_gone") for a tenant that is not."""
        address = f"agente@{tenant_id.replace('_', '-')}.invalid"
        for _ in range(2):
            found = [u for u in await self.users(tenant_id) if u.role == Role.AGENTE_IA and u.active]
            ours = next((u for u in found if self._sandbox or not u.demo), None)
            if ours is not None:
                return await self.identity(tenant_id, ours.id)
            with contextlib.suppress(ArgumentsWrong):  # another process made it in this moment
                await self.add_user(tenant_id, address, "Mutirão", Role.AGENTE_IA, None)
        raise Refused("user_gone", f"no agent in {tenant_id}")

    # --- login --------------------------------------------------------------------------------

    async def login(self, email: str, password: str, address: str) -> Identity:
        """Let a person in. `address` is where the request comes from (an IP, or "terminal").

        Refused("login_wrong") alike for an unknown address, a wrong password, an inactive user, an agent's account and
        a demo user outside the sandbox, and after the same time of hashing;
        Refused("login_too_many", minutes) after 5 failures of an e-mail from one address, 20 of an address,
        or 50 of an e-mail from anywhere, within 15 minutes.
        """
        email = _line(email).lower()
        address = _line(address)
        now = self._clock.now()
        email_hash = _hash_of(email)
        # Failures are counted before the password is looked at, and one person's attempts one after the other:
        # else twenty guesses at once would all pass the count.
        async with self._db.lock(f"login {email_hash}", timeout=20, brief=True):
            async with self._db.system() as conn:
                await self._refuse_guessing(conn, email_hash, address)
                found = await fetch_one(conn, "SELECT * FROM find_login(%s)", [email])
            usable = (
                found is not None
                and found["password_hash"] is not None
                and found["active"]
                and found["role"] != Role.AGENTE_IA
                and (self._sandbox or not found["demo"])
            )
            right = await self._matches(found["password_hash"] if found and usable else None, password)
            async with self._db.system() as conn:
                await conn.execute("DELETE FROM login_attempts WHERE at < %s", [now - timedelta(days=1)])
                if right:
                    await conn.execute("DELETE FROM login_attempts WHERE email_hash = %s AND NOT ok", [email_hash])
                await conn.execute(
                    "INSERT INTO login_attempts (email_hash, address, at, ok) VALUES (%s, %s, %s, %s)",
                    [email_hash, address, now, right],
                )
        if not right or found is None:
            raise Refused("login_wrong", "unknown e-mail or wrong password")
        async with self._db.tenant(found["tenant_id"]) as conn:
            if self._hasher.check_needs_rehash(found["password_hash"]):
                fresh = await asyncio.to_thread(self._hasher.hash, password)
                await conn.execute("UPDATE users SET password_hash = %s WHERE id = %s", [fresh, found["user_id"]])
            await audit(conn, found["user_id"], "login", found["user_id"], {})
        return await self.identity(found["tenant_id"], found["user_id"])

    async def _refuse_guessing(self, conn: Connection, email_hash: str, address: str) -> None:
        now = self._clock.now()
        query = """
            SELECT count(*) FILTER (WHERE email_hash = %(email)s AND address = %(address)s) AS here,
                   count(*) FILTER (WHERE email_hash = %(email)s) AS of_email,
                   count(*) FILTER (WHERE address = %(address)s) AS of_address,
                   min(at) FILTER (WHERE email_hash = %(email)s AND address = %(address)s) AS first_here,
                   min(at) FILTER (WHERE email_hash = %(email)s) AS first_of_email,
                   min(at) FILTER (WHERE address = %(address)s) AS first_of_address
            FROM login_attempts
            WHERE NOT ok AND at > %(since)s AND (email_hash = %(email)s OR address = %(address)s)
        """
        values = {"email": email_hash, "address": address, "since": now - WINDOW}
        row = await fetch_one(conn, query, values)
        assert row is not None
        limits = (
            ("here", "first_here", FAILURES_FROM_ONE_PLACE),
            ("of_email", "first_of_email", FAILURES_PER_EMAIL),
            ("of_address", "first_of_address", FAILURES_PER_ADDRESS),
        )
        waits = [row[first] + WINDOW - now for count, first, most in limits if row[count] >= most]
        if waits:
            minutes = max(1, ceil(max(waits).total_seconds() / 60))
            raise Refused("login_too_many", "too many failed logins", minutes=minutes)

    async def _hash(self, password: str) -> str:
        if len(password) < SHORTEST_PASSWORD:
            raise ArgumentsWrong("password_short", "the password is too short", least=SHORTEST_PASSWORD)
        if len(password) > LONGEST_PASSWORD:
            raise ArgumentsWrong("password_long", "the password is too long", most=LONGEST_PASSWORD)
        return await asyncio.to_thread(self._hasher.hash, _normal(password))

    async def _matches(self, hashed: str | None, password: str) -> bool:
        """Whether the password opens the hash; for no hash it takes the same time and says no."""
        if self._nobody is None:
            self._nobody = await asyncio.to_thread(self._hasher.hash, new_id("nobody"))
        try:
            await asyncio.to_thread(self._hasher.verify, hashed or self._nobody, _normal(password[:LONGEST_PASSWORD]))
        except (VerificationError, InvalidHashError):
            return False
        return hashed is not None


def _hash_of(email: str) -> str:
    """How an e-mail stands among the attempts to log in: whether it exists is nobody's business."""
    return hashlib.sha256(email.lower().encode()).hexdigest()


def _line(text: str) -> str:
    """A short text as it can be stored: no control characters, no half surrogates, at most 320 characters."""
    plain = "".join(c for c in text[:320] if unicodedata.category(c) not in ("Cc", "Cs"))
    return plain.strip()


def _normal(password: str) -> str:
    """One form for what different keyboards send for the same letters (NIST SP 800-63B, section on normalisation)."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "replace").decode()


def _slug(name: str) -> str:
    """ "Agência Ipê" → "agencia-ipe"."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


async def _user(conn: Connection, user_id: str) -> User:
    return (await _users(conn, "u.id = %s", [user_id]))[0]


async def _users(conn: Connection, where: str, values: list[str]) -> list[User]:
    query = (
        "SELECT u.id, u.tenant_id, u.email, u.name, u.role, u.active, u.demo, u.created_at,"
        " array(SELECT account_id FROM user_accounts a WHERE a.user_id = u.id) AS accounts"
        f" FROM users u WHERE {where} ORDER BY u.created_at, u.id"
    )
    rows = await fetch_all(conn, query, values)
    return [User(**{**row, "role": Role(row["role"]), "accounts": frozenset(row["accounts"])}) for row in rows]
