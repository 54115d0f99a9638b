"""What the registry tells of a company, as evidence."""

from typing import Any

import pytest

from business.prospecting.evidence import Kind, of_company, of_kind
from integrations.minha_receita.payloads import Company, read_company
from integrations.reading import Answer
from tests.integrations.minha_receita.answers import FULL, MEI
from tests.integrations.minha_receita.conftest import NOW


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (FULL, [False]),
        (MEI, [True]),
        (FULL | {"opcao_pelo_mei": None}, [False]),  # a limited company cannot be one, whatever is not told
        (MEI | {"opcao_pelo_mei": None}, []),
        (FULL | {"opcao_pelo_mei": None, "codigo_natureza_juridica": None}, []),
    ],
)
def test_who_cannot_be_mei_by_law_is_none_and_who_can_is_unknown_until_it_is_told(
    raw: dict[str, Any], told: list[bool]
) -> None:
    company = read_company(raw, Answer(200, raw, "http://127.0.0.1/", NOW))
    assert isinstance(company, Company)
    assert [one.value for one in of_kind(of_company(company), Kind.MEI)] == told
