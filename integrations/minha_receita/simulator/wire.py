"""The registry's wire: a company of the sandbox as the server words it, and the server's answers and refusals.

Written after the documented shape (docs.minhareceita.org) and the server's source (api/api.go, db/pagination.go,
transform/company.go, December 2025), quirks included: a `limit` above 1,024 is ignored and 256 taken; values that it
cannot read are ignored; the last page is the first that is not full; `cnae` with several codes wants all of them among
the further activities; the content type of messages differs.
"""

import json
import re
from datetime import date
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from integrations import sandbox_companies as sandbox
from integrations.sandbox_companies import SandboxCompany, plain

DOCUMENTATION = "https://docs.minhareceita.org"
DEFAULT_LIMIT, MOST = 256, 1_024
_STATUS = {2: "ATIVA", 3: "SUSPENSA", 4: "INAPTA", 8: "BAIXADA"}
_REASON = {
    2: (0, "SEM MOTIVO"),
    4: (63, "OMISSAO DE DECLARACOES"),
    8: (1, "EXTINCAO POR ENCERRAMENTO LIQUIDACAO VOLUNTARIA"),
}
_SIZE = {1: "MICRO EMPRESA", 3: "EMPRESA DE PEQUENO PORTE", 5: "DEMAIS"}
_KINDS_OF_STREET = ("AVENIDA", "ALAMEDA", "RODOVIA", "RUA")


class Registry:
    """All companies of the sandbox behind the registry's wire.

    `privacy` leaves out e-mails and the addresses and telephones of sole traders, as the public address does.
    """

    def __init__(self, privacy: bool = True) -> None:
        self._companies = sorted(sandbox.companies(), key=lambda one: one.cnpj)
        self._places = {one.cnpj: place for place, one in enumerate(self._companies, 1)}
        self._raw = [_as_json(one, privacy) for one in self._companies]

    def respond(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=200)
        path = request.url.path
        if path == "/healthz":
            return Response(status_code=200)
        if request.method != "GET":
            # Written before its header, so that it leaves as plain text.
            return _message(405, "Essa URL aceita apenas o método GET.", "text/plain; charset=utf-8")
        if path == "/updated":
            return _message(200, sandbox.AS_OF.isoformat())
        if path == "/":
            return self._search(request)
        return self._one(path[1:])

    def _one(self, asked: str) -> Response:
        cnpj = re.sub(r"[./-]", "", asked).upper()
        if not re.fullmatch(r"[0-9A-Z]{12}[0-9]{2}", cnpj) or sandbox.with_check_digits(cnpj[:12]) != cnpj:
            return _message(400, f"CNPJ {_masked(asked)} inválido.")
        place = self._places.get(cnpj)
        if place is None:
            return _message(404, f"CNPJ {_masked(cnpj)} não encontrado.")
        return _json(json.dumps(self._raw[place - 1], ensure_ascii=False))

    def _search(self, request: Request) -> Response:
        values = {name: _words(request.query_params.getlist(name)) for name in request.query_params}
        ufs = set(values.get("uf", []))
        cities, main, any_of, natures = (
            {int(one) for one in values.get(name, []) if one.isdecimal() and int(one) > 0}
            for name in ("municipio", "cnae_fiscal", "cnae", "natureza_juridica")
        )
        partners = set(values.get("cnpf", []))
        if not (ufs or cities or main or any_of or natures or partners):
            return RedirectResponse(DOCUMENTATION, 302)
        limits = [int(one) for one in values.get("limit", []) if one.isdecimal() and 0 < int(one) <= MOST]
        limit = limits[0] if limits else DEFAULT_LIMIT
        cursor = request.query_params.get("cursor", "")
        start = int(cursor) if cursor.isdecimal() else 0

        def fits(raw: dict[str, Any]) -> bool:
            further = {one["codigo"] for one in raw["cnaes_secundarios"]}
            return (
                (not ufs or raw["uf"] in ufs)
                and (not cities or raw["codigo_municipio_ibge"] in cities or raw["codigo_municipio"] in cities)
                and (not main or raw["cnae_fiscal"] in main)
                and (not any_of or raw["cnae_fiscal"] in any_of or any_of <= further)
                and (not natures or raw["codigo_natureza_juridica"] in natures)
                and (not partners or any(one["cnpj_cpf_do_socio"] in partners for one in raw["qsa"]))
            )

        found: list[tuple[int, dict[str, Any]]] = []
        for place, raw in enumerate(self._raw[start:], start + 1):
            if fits(raw):
                found.append((place, raw))
                if len(found) == limit:
                    break
        data = ",".join(json.dumps(raw, ensure_ascii=False) for _, raw in found)
        following = f'"{found[-1][0]}"' if len(found) == limit else "null"
        return _json(f'{{"data":[{data}],"cursor":{following}}}')


def _words(values: list[str]) -> list[str]:
    words = [word.strip().upper() for value in values for word in value.split(",")]
    return [word for word in words if re.fullmatch(r"[A-Z0-9*]+", word)]


def _message(status: int, words: str, media_type: str = "application/json") -> Response:
    return Response(f'{{"message":"{words}"}}', status, media_type=media_type)


def _json(content: str) -> Response:
    return Response(content, 200, {"cache-control": "max-age=86400"}, media_type="application/json")


def _masked(cnpj: str) -> str:
    if len(cnpj) != 14:
        return cnpj
    return f"{cnpj[:2]}.{cnpj[2:5]}.{cnpj[5:8]}/{cnpj[8:12]}-{cnpj[12:]}"


def _as_json(company: SandboxCompany, privacy: bool) -> dict[str, Any]:
    texts = sandbox.cnae_texts()
    individual = company.nature_code == 2135
    hidden = privacy and individual
    kind, street = _street(company.address.street)
    phones = ("", "") if hidden else (*company.phones, "", "")[:2]
    reason = _REASON.get(company.status, (None, None))
    day = date.isoformat
    mei_day = day(company.opened) if company.mei else None
    simples_day = day(max(company.opened, date(2007, 7, 1))) if company.simples else None
    return {
        "uf": company.city.uf,
        "cep": company.address.cep,
        "qsa": [
            {
                "pais": None,
                "nome_socio": partner.name,
                "codigo_pais": None,
                "faixa_etaria": partner.age,
                "cnpj_cpf_do_socio": partner.document,
                "qualificacao_socio": partner.role,
                "codigo_faixa_etaria": partner.age_code,
                "data_entrada_sociedade": day(partner.joined),
                "identificador_de_socio": 2,
                "cpf_representante_legal": "***000000**",
                "nome_representante_legal": "",
                "codigo_qualificacao_socio": partner.role_code,
                "qualificacao_representante_legal": "Não informada",
                "codigo_qualificacao_representante_legal": 0,
            }
            for partner in company.partners
        ],
        "cnpj": company.cnpj,
        "pais": None,
        "email": None if privacy else (company.email or "").upper(),
        "porte": _SIZE[company.size_code],
        "bairro": plain(company.address.district).upper(),
        "numero": "" if hidden else company.address.number,
        "ddd_fax": "",
        "municipio": plain(company.city.name).upper(),
        "logradouro": "" if hidden else street,
        "cnae_fiscal": company.cnae,
        "codigo_pais": None,
        "complemento": "" if hidden else plain(company.address.extra).upper(),
        "codigo_porte": company.size_code,
        "razao_social": company.legal_name,
        "nome_fantasia": company.registered_trade_name,
        "capital_social": company.capital,
        "ddd_telefone_1": phones[0],
        "ddd_telefone_2": phones[1],
        "opcao_pelo_mei": company.mei,
        "codigo_municipio": company.city.siafi,
        "cnaes_secundarios": [{"codigo": code, "descricao": texts[code]} for code in company.further_cnaes],
        "natureza_juridica": company.nature,
        "regime_tributario": None,
        "situacao_especial": "",
        "opcao_pelo_simples": company.simples,
        "situacao_cadastral": company.status,
        "data_opcao_pelo_mei": mei_day,
        "data_exclusao_do_mei": None,
        "cnae_fiscal_descricao": company.cnae_text,
        "codigo_municipio_ibge": company.city.ibge,
        "data_inicio_atividade": day(company.opened),
        "data_situacao_especial": None,
        "data_opcao_pelo_simples": simples_day,
        "data_situacao_cadastral": day(company.status_since),
        "nome_cidade_no_exterior": "",
        "codigo_natureza_juridica": company.nature_code,
        "data_exclusao_do_simples": None,
        "motivo_situacao_cadastral": reason[0],
        "ente_federativo_responsavel": "",
        "identificador_matriz_filial": 1 if company.head_office else 2,
        "qualificacao_do_responsavel": 50 if individual else 49,
        "descricao_situacao_cadastral": _STATUS[company.status],
        "descricao_tipo_de_logradouro": "" if hidden else kind,
        "descricao_motivo_situacao_cadastral": reason[1],
        "descricao_identificador_matriz_filial": "MATRIZ" if company.head_office else "FILIAL",
    }


def _street(name: str) -> tuple[str, str]:
    """(kind, rest) of a street as the register writes them."""
    written = plain(name).upper()
    for kind in _KINDS_OF_STREET:
        if written.startswith(kind + " "):
            return kind, written[len(kind) + 1 :]
    return "QUADRA", written
