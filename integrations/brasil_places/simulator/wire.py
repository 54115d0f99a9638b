"""BrasilAPI, ViaCEP and the IBGE as one simulator: the same paths under /brasilapi, /viacep and /ibge.

It knows the streets of the sandbox's companies, the bundled cities and activities, a few that are not bundled, and the
national calendar by its rules. Shapes as in `payloads.py`; what it does not know it answers as the real ones do.
"""

import re
from datetime import date, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from integrations import sandbox_companies as sandbox
from integrations.brasil_places.activities import known_activities
from integrations.brasil_places.cities import STATES, UF_BY_NUMBER, known_cities

FURTHER_CITIES = ((2933604, "Xique-Xique"), (3303807, "Paraty"), (3519055, "Holambra"), (4108403, "Francisco Beltrão"))
"""Not in the bundled table, so that only the list of all cities knows them."""
FURTHER_ACTIVITIES: dict[str, tuple[str, list[str]]] = {
    "0111301": ("CULTIVO DE ARROZ", ["ARROZ; CULTIVO DE", "ARROZ IRRIGADO; CULTIVO DE"]),
    "3012100": (
        "CONSTRUÇÃO DE EMBARCAÇÕES PARA ESPORTE E LAZER",
        ["VELEIROS; CONSTRUÇÃO DE", "LANCHAS; CONSTRUÇÃO DE"],
    ),
    "9103100": (
        "ATIVIDADES DE JARDINS BOTÂNICOS, ZOOLÓGICOS, PARQUES NACIONAIS, RESERVAS ECOLÓGICAS E ÁREAS DE PROTEÇÃO "
        "AMBIENTAL",
        ["JARDIM BOTÂNICO", "JARDIM ZOOLÓGICO"],
    ),
}


def respond(request: Request) -> Response:
    """The answer to a request below one of the three prefixes."""
    path = request.url.path
    if request.method != "GET":
        return JSONResponse({"message": "Method Not Allowed"}, 405)
    for pattern, answer in _ROUTES:
        if match := re.fullmatch(pattern, path):
            return answer(*match.groups())
    return JSONResponse({"message": "Não encontrado", "type": "not_found", "name": "NotFoundError"}, 404)


# --- BrasilAPI ------------------------------------------------------------------------------------


def _cep(cep: str) -> Response:
    if not re.fullmatch(r"[0-9]{5}-?[0-9]{3}", cep):
        words = "CEP deve conter exatamente 8 caracteres."
        return JSONResponse(
            {"name": "CepPromiseError", "message": words, "type": "validation_error", "errors": []}, 400
        )
    street = sandbox.streets().get(cep.replace("-", ""))
    if street is None:
        words = "Todos os serviços de CEP retornaram erro."
        return JSONResponse({"name": "CepPromiseError", "message": words, "type": "service_error", "errors": []}, 404)
    spot = {"longitude": str(street.city.longitude), "latitude": str(street.city.latitude)}
    return JSONResponse(
        {
            "cep": street.cep,
            "state": street.city.uf,
            "city": street.city.name,
            "neighborhood": street.district,
            "street": street.name,
            "service": "open-cep",
            "timezoneName": "America/Sao_Paulo",
            "location": {"type": "Point", "coordinates": spot},
        }
    )


def _ddd(ddd: str) -> Response:
    known = [place for place in known_cities() if str(place.ddd) == ddd]
    if not known:
        return JSONResponse({"message": "DDD não encontrado", "type": "ddd_error", "name": "DDD_NOT_FOUND"}, 404)
    return JSONResponse({"state": known[0].uf, "cities": [place.name.upper() for place in known]})


def _holidays(year: str) -> Response:
    if not 1900 <= int(year) <= 2199:
        words = "Ano fora do intervalo suportado entre 1900 e 2199."
        return JSONResponse({"name": "NotFoundError", "message": words, "type": "feriados_range_error"}, 404)
    days = sorted(calendar(int(year)).items())
    return JSONResponse([{"date": day.isoformat(), "name": name, "type": "national"} for day, name in days])


def calendar(year: int) -> dict[date, str]:
    """The national calendar as BrasilAPI lists it: fixed days, and those that move with Easter (Gauss)."""
    a, b, c = year % 19, year // 100, year % 100
    d = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    e = (32 + 2 * (b % 4) + 2 * (c // 4) - d - c % 4) % 7
    f = d + e - 7 * ((a + 11 * d + 22 * e) // 451) + 114
    easter = date(year, f // 31, f % 31 + 1)
    moving = {-47: "Carnaval", -2: "Sexta-feira Santa", 0: "Páscoa", 60: "Corpus Christi"}
    fixed = {
        (1, 1): "Confraternização mundial", (4, 21): "Tiradentes", (5, 1): "Dia do trabalho",
        (9, 7): "Independência do Brasil", (10, 12): "Nossa Senhora Aparecida", (11, 2): "Finados",
        (11, 15): "Proclamação da República", (12, 25): "Natal",
    }  # fmt: skip
    days = {easter + timedelta(days=shift): name for shift, name in moving.items()}
    days |= {date(year, month, day): name for (month, day), name in fixed.items()}
    if year >= 2024:  # Lei 14.759/2023
        days[date(year, 11, 20)] = "Dia da consciência negra"
    return days


def _cities_of_brasilapi(uf: str) -> Response:
    if uf.upper() not in STATES:
        return JSONResponse(
            {"message": "UF não encontrada.", "type": "not_found", "name": "EstadoNotFoundException"}, 404
        )
    return JSONResponse([{"nome": name.upper(), "codigo_ibge": str(code)} for code, name in _cities(uf.upper())])


# --- ViaCEP ---------------------------------------------------------------------------------------


def _viacep(cep: str) -> Response:
    if not re.fullmatch(r"[0-9]{8}", cep):
        return Response("<html><body><h1>Http 400</h1></body></html>", 400, media_type="text/html")
    street = sandbox.streets().get(cep)
    if street is None:
        return JSONResponse({"erro": "true"})
    return JSONResponse(
        {
            "cep": f"{cep[:5]}-{cep[5:]}",
            "logradouro": street.name,
            "complemento": "",
            "unidade": "",
            "bairro": street.district,
            "localidade": street.city.name,
            "uf": street.city.uf,
            "estado": STATES[street.city.uf][0],
            "regiao": "",
            "ibge": str(street.city.ibge),
            "gia": "",
            "ddd": str(street.city.ddd),
            "siafi": str(street.city.siafi),
        }
    )


# --- IBGE -----------------------------------------------------------------------------------------


def _cities(uf: str | None) -> list[tuple[int, str]]:
    known = [(int(place.ibge), place.name) for place in known_cities()] + list(FURTHER_CITIES)
    return sorted((code, name) for code, name in known if uf is None or UF_BY_NUMBER[str(code)[:2]] == uf)


def _all_cities() -> Response:
    return JSONResponse([_city(code, name) for code, name in _cities(None)])


def _cities_of(uf: str) -> Response:
    return JSONResponse([_city(code, name) for code, name in _cities(uf.upper())])  # an unknown state has none


def _city(code: int, name: str) -> dict[str, Any]:
    uf = UF_BY_NUMBER[str(code)[:2]]
    state = {"id": int(str(code)[:2]), "sigla": uf, "nome": STATES[uf][0]}
    return {"id": code, "nome": name, "microrregiao": {"nome": name, "mesorregiao": {"nome": name, "UF": state}}}


def _all_subclasses() -> Response:
    known = {code: (one.official.upper(), list[str]()) for code, one in known_activities().items()}
    return JSONResponse([_subclass(code, *words) for code, words in sorted((known | FURTHER_ACTIVITIES).items())])


def _one_subclass(code: str) -> Response:
    if (known := known_activities().get(code)) is not None:
        return JSONResponse([_subclass(code, known.official.upper(), [])])
    words = FURTHER_ACTIVITIES.get(code)
    return JSONResponse([_subclass(code, *words)] if words else [])


def _subclass(code: str, name: str, examples: list[str]) -> dict[str, Any]:
    return {"id": code, "descricao": name, "classe": {"id": code[:5]}, "atividades": examples, "observacoes": []}


_ROUTES = (
    (r"/brasilapi/cep/v2/([^/]+)", _cep),
    (r"/brasilapi/ddd/v1/([0-9]+)", _ddd),
    (r"/brasilapi/feriados/v1/([0-9]+)", _holidays),
    (r"/brasilapi/ibge/municipios/v1/([^/]+)", _cities_of_brasilapi),
    (r"/viacep/ws/([^/]+)/json/?", _viacep),
    (r"/ibge/v1/localidades/municipios", _all_cities),
    (r"/ibge/v1/localidades/estados/([^/]+)/municipios", _cities_of),
    (r"/ibge/v2/cnae/subclasses", _all_subclasses),
    (r"/ibge/v2/cnae/subclasses/([0-9]+)", _one_subclass),
)
