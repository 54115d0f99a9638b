"""Answers of the registry, written by hand from its documented shape; no company and no person in them exists.

Sources (read in November 2026; nobody has asked the public address from here):
- docs.minhareceita.org, "Como usar" (docs/como-usar.md of github.com/cuducos/minha-receita, commit e04fefb): the table
  of paths, statuses and messages; "Exemplo de resposta válida"; "Busca paginada": `{"data": […], "cursor": "42"}`, and
  that an answer without `cursor` is the last page.
- docs.minhareceita.org, "Dicionário de dados" (docs/dicionario.md): types; "Todos os campos, salvo `cnpj` são opcionais
  e podem estar em branco"; `cnae_fiscal` stands there as a string, and in the examples as a number.
- the same repository's api/api.go and db/pagination.go: 302, 405 and 408 answers, `"cursor":null` on the last page;
  transform/company.go: privacy (e-mail null, CPF in a name as ***NNNNN***); testdata/response.json: `"email": null`.
- github.com/cuducos/minha-receita/issues/288: a sole trader under MEI as the public address gave it in 2025.
"""

from typing import Any

FULL: dict[str, Any] = {
    "cnpj": "11222333000181",
    "identificador_matriz_filial": 1,
    "descricao_identificador_matriz_filial": "MATRIZ",
    "nome_fantasia": "ATELIE CASA DE TAIPA",
    "situacao_cadastral": 2,
    "descricao_situacao_cadastral": "ATIVA",
    "data_situacao_cadastral": "2009-03-02",
    "motivo_situacao_cadastral": 0,
    "descricao_motivo_situacao_cadastral": "SEM MOTIVO",
    "nome_cidade_no_exterior": "",
    "codigo_pais": None,
    "pais": None,
    "data_inicio_atividade": "2009-03-02",
    "cnae_fiscal": 7111100,
    "cnae_fiscal_descricao": "Serviços de arquitetura",
    "descricao_tipo_de_logradouro": "RUA",
    "logradouro": "DOS ALECRINS",
    "numero": "914",
    "complemento": "SALA 32",
    "bairro": "CAMBUI",
    "cep": "13024411",
    "uf": "SP",
    "codigo_municipio": 6291,
    "codigo_municipio_ibge": 3509502,
    "municipio": "CAMPINAS",
    "ddd_telefone_1": "1932510000",
    "ddd_telefone_2": "",
    "ddd_fax": "",
    "email": None,
    "situacao_especial": "",
    "data_situacao_especial": None,
    "opcao_pelo_simples": True,
    "data_opcao_pelo_simples": "2009-03-02",
    "data_exclusao_do_simples": None,
    "opcao_pelo_mei": False,
    "data_opcao_pelo_mei": None,
    "data_exclusao_do_mei": None,
    "razao_social": "CASA DE TAIPA ARQUITETURA LTDA",
    "codigo_natureza_juridica": 2062,
    "natureza_juridica": "Sociedade Empresária Limitada",
    "qualificacao_do_responsavel": 49,
    "capital_social": 20000,
    "codigo_porte": 1,
    "porte": "MICRO EMPRESA",
    "ente_federativo_responsavel": None,
    "regime_tributario": None,
    "qsa": [
        {
            "identificador_de_socio": 2,
            "nome_socio": "MARINA TESTE DE OLIVEIRA",
            "cnpj_cpf_do_socio": "***112108**",
            "codigo_qualificacao_socio": 49,
            "qualificacao_socio": "Sócio-Administrador",
            "data_entrada_sociedade": "2009-03-02",
            "codigo_pais": None,
            "pais": None,
            "cpf_representante_legal": "***000000**",
            "nome_representante_legal": "",
            "codigo_qualificacao_representante_legal": 0,
            "qualificacao_representante_legal": None,
            "codigo_faixa_etaria": 5,
            "faixa_etaria": "Entre 41 a 50 anos",
        },
        {
            "identificador_de_socio": 1,
            "nome_socio": "TAIPA PARTICIPACOES LTDA",
            "cnpj_cpf_do_socio": "11444777000161",
            "codigo_qualificacao_socio": 22,
            "qualificacao_socio": "Sócio",
            "data_entrada_sociedade": "2015-08-19",
            "codigo_pais": None,
            "pais": None,
            "cpf_representante_legal": "***595901**",
            "nome_representante_legal": "MARINA TESTE DE OLIVEIRA",
            "codigo_qualificacao_representante_legal": 5,
            "qualificacao_representante_legal": "Administrador",
            "codigo_faixa_etaria": 0,
            "faixa_etaria": "Não se aplica",
        },
    ],
    "cnaes_secundarios": [
        {"codigo": 7410202, "descricao": "Design de interiores"},
        {"codigo": 111301, "descricao": "Cultivo de arroz"},
    ],
}
"""As in "Exemplo de resposta válida". The second further activity begins with a zero that a number loses."""

ONLY_CNPJ: dict[str, Any] = {"cnpj": "11444777000161"}
"""All that the dictionary promises."""

ALL_NULL: dict[str, Any] = dict.fromkeys(FULL) | ONLY_CNPJ
ALL_BLANK: dict[str, Any] = dict.fromkeys(FULL, "") | ONLY_CNPJ

MEI: dict[str, Any] = FULL | {
    "cnpj": "58741197000108",
    "razao_social": "58.741.197 FULANO DE TESTE",
    "nome_fantasia": "",
    "codigo_natureza_juridica": 2135,
    "natureza_juridica": "Empresário (Individual)",
    "opcao_pelo_mei": True,
    "capital_social": 500.0,
    "qsa": [],
    "cnaes_secundarios": [{"codigo": 0, "descricao": ""}],
}

WRONG_TYPES: dict[str, Any] = FULL | {
    "razao_social": {"nome": "X"},
    "situacao_cadastral": "ATIVA",
    "data_inicio_atividade": "0202-01-01",
    "data_situacao_cadastral": 20090302,
    "cnae_fiscal": "7111-1/00",
    "codigo_municipio_ibge": [3509502],
    "capital_social": "muito",
    "opcao_pelo_mei": "S",
    "codigo_porte": 1.5,
    "identificador_matriz_filial": True,
    "qsa": ["MARINA", {"nome_socio": 7, "data_entrada_sociedade": "ontem"}],
    "cnaes_secundarios": {"codigo": 1},
    "ddd_telefone_1": 1932510000,
}


def page(*companies: Any, **cursor: Any) -> dict[str, Any]:
    """A page of a search; without `cursor` it has none, as the documents say of the last one."""
    return {"data": list(companies), **cursor}
