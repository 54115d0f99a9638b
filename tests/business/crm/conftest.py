"""The CRM over a real database, and two words to fill it."""

from typing import Any

import pytest

from business.crm.identity import KeyKind
from business.crm.model import CompanyData, ContactData, Source
from business.crm.service import Crm
from core.clock import FixedClock
from core.db import Database
from core.permissions import Permissions

FILE = Source("import", "lista.csv, 12")
SPOKEN = Source("person", "chat", by_person=True)
REGISTRY = Source("registry", "https://minhareceita.org/11222333000181")

PHONE, EMAIL, CPF, CNPJ, WA_ID = KeyKind.PHONE, KeyKind.EMAIL, KeyKind.CPF, KeyKind.CNPJ, KeyKind.WA_ID


def person(name: str | None = None, *keys: tuple[KeyKind, str], source: Source = FILE, **fields: Any) -> ContactData:
    return ContactData(source=source, name=name, keys=keys, **fields)


def firm(name: str | None = None, *keys: tuple[KeyKind, str], source: Source = REGISTRY, **fields: Any) -> CompanyData:
    return CompanyData(source=source, trade_name=name, keys=keys, **fields)


@pytest.fixture
def crm(database: Database, clock: FixedClock, permissions: Permissions) -> Crm:
    return Crm(database, clock, permissions)
