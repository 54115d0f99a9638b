"""What an account counts as its results, where its company has decided otherwise than the objectives say.

It lies in the company's settings: {"results": {"act_…": {"OUTCOME_SALES": "lead", "*": "purchase"}}}, by account and
Meta's objective ("*" for all others); the kinds are those of `metrics.ResultKind`.
"""

from pydantic import TypeAdapter, ValidationError

from business.ads.metrics import ResultKind
from core.db import Database, fetch_one
from core.errors import Refused

_RULES = TypeAdapter(dict[str, dict[str, ResultKind]])


async def result_rules(db: Database, tenant_id: str) -> dict[str, dict[str, ResultKind]]:
    """The company's rules, {} when it has none. Refused("result_rules_unreadable"): they must not be taken for none."""
    async with db.tenant(tenant_id) as conn:
        row = await fetch_one(conn, "SELECT settings -> 'results' AS rules FROM tenants WHERE id = %s", [tenant_id])
    try:
        return _RULES.validate_python((row or {}).get("rules") or {})
    except ValidationError as error:
        raise Refused("result_rules_unreadable", f"settings.results: {error.errors()[0]['msg']}") from None
