"""Whatever is asked of the simulators of public sources, they answer as the real ones would, and never crash."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from integrations.brasil_places.simulator import wire as places
from integrations.minha_receita.simulator.wire import Registry

_METHODS = ["GET", "HEAD", "POST", "OPTIONS"]
_VALUES = st.sampled_from(
    ["SP", "sp,rj", "3509502", "6291", "7111100", "-1", "0", "", "٣", "***112108**", "x'", "1e9", "%00"]
)
_NAMES = ["uf", "municipio", "cnae", "cnae_fiscal", "cnpf", "natureza_juridica", "limit", "cursor", "x"]
_PATHS = st.sampled_from(
    ["/", "/updated", "/healthz", "/foobar", "/00000000000000", "/11.222.333/0001-81", "/١١٢٢٢", "/" + "9" * 300]
    + [
        f"/{name}/{rest}"
        for name in ("brasilapi", "viacep", "ibge")
        for rest in (
            "cep/v2/13025001", "cep/v2/x", "ddd/v1/19", "ddd/v1/0", "feriados/v1/2026", "feriados/v1/99999999999999",
            "ibge/municipios/v1/sp", "ibge/municipios/v1/zz", "ws/13025001/json/", "ws/1/json", "v2/cnae/subclasses/1",
            "v1/localidades/estados/xx/municipios", "v1/localidades/estados//municipios",
        )
    ]
)  # fmt: skip


def _client(*responders: object) -> list[TestClient]:
    return [
        TestClient(Starlette(routes=[Route("/{path:path}", one, methods=_METHODS)]), follow_redirects=False)  # type: ignore[arg-type]
        for one in responders
    ]


_CLIENTS = _client(Registry().respond, places.respond)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(_METHODS), _PATHS, st.lists(st.tuples(st.sampled_from(_NAMES), _VALUES), max_size=4))
def test_no_question_makes_a_simulator_crash(method: str, path: str, params: list[tuple[str, str]]) -> None:
    for client in _CLIENTS:
        answer = client.request(method, path, params=params)
        assert answer.status_code in (200, 302, 400, 404, 405)
        if answer.status_code == 200 and method == "GET" and answer.content:
            json.loads(answer.content)
