"""The labelled pairs brought into the CRM, one after the other: what people get, not what the matcher says alone.

The second of a pair must find the first by its keys or its name, and be joined, asked about, or made a record of its
own. Set apart are pairs that say the very same without any key ("Ana Souza" twice): the CRM takes them for the same
line again and writes nothing, since a list that is brought in twice must not double its people.
"""

from pathlib import Path
from typing import Any

import yaml

from business.crm.identity import KeyKind
from business.crm.model import CompanyData, ContactData, Outcome, Upserted
from business.crm.service import Crm
from business.crm.upsert import made_ready
from core.db import Database
from core.errors import MutiraoError
from core.tenancy import Role
from tests.business.crm.conftest import FILE
from tests.business.crm.test_identity import ONE_EACH
from tests.conftest import Tenants

PERSONS_OWN = {"name", "cpf", "bsuid", "lid"}


class _Enough(Exception):
    """Ends a pair's transaction without keeping it."""


def as_data(told: dict[str, Any]) -> ContactData | CompanyData:
    keys = [(KeyKind.PHONE, text) for text in told.get("phones", [])]
    keys += [(KeyKind.EMAIL, text) for text in told.get("emails", [])]
    keys += [(kind, told[name]) for name, kind in ONE_EACH.items() if name in told]
    where: dict[str, Any] = {"city": told.get("city"), "address": told.get("address"), "keys": tuple(keys)}
    if not PERSONS_OWN & told.keys() and ("company" in told or "cnpj" in told):
        return CompanyData(FILE, trade_name=told.get("company"), **where)
    return ContactData(FILE, name=told.get("name"), company_name=told.get("company"), **where)


async def test_the_labelled_pairs_come_out_of_the_crm_as_people_say(
    crm: Crm, database: Database, tenants: Tenants
) -> None:
    path = Path(__file__).parent / "data" / "identity_pairs.yaml"
    pairs = yaml.safe_load(path.read_text(encoding="utf-8"))
    who = tenants.one[Role.ADMIN]
    joined: list[dict[str, Any]] = []
    same: list[dict[str, Any]] = []
    lost: list[str] = []
    again: list[str] = []
    for pair in pairs:
        first, second = as_data(pair["a"]), as_data(pair["b"])
        if type(first) is not type(second):
            continue  # a person and a company are never one record here
        came: list[Upserted | MutiraoError] = []
        try:
            async with database.tenant(who.tenant_id) as conn:
                for data in (first, second):
                    came += await crm.upsert_batch(conn, who, [made_ready(data)], write=True)
                raise _Enough
        except _Enough:
            pass
        except MutiraoError:
            continue  # nothing to know anybody by
        one, other = came
        assert isinstance(one, Upserted) and one.outcome is Outcome.CREATED, pair["id"]
        outcome = other.outcome if isinstance(other, Upserted) else None
        same += [pair] if pair["same"] else []
        if outcome is Outcome.UNCHANGED and not pair["same"] and not made_ready(second).keys:
            again.append(pair["id"])
        elif outcome in (Outcome.UPDATED, Outcome.UNCHANGED):
            joined.append(pair)
        elif pair["same"]:
            lost.append(f"{pair['id']}: {outcome}")
    right = [pair for pair in joined if pair["same"]]
    precision, recall = len(right) / len(joined), len(right) / len(same)
    print(f"precision {precision:.4f}, recall {recall:.4f}: {len(right)} of {len(same)}; not joined: {lost}")
    assert precision >= 0.99, [pair["id"] for pair in joined if not pair["same"]]
    assert recall >= 0.95, lost
    assert len(again) <= 4, again
