"""What the registry refuses, by HTTP status, and what we refuse before it is asked.

Statuses and messages as documented (docs.minhareceita.org, "Como usar") and as the server writes them (its source,
api/api.go, December 2025): 400 `{"message": "CNPJ … inválido."}`; 404 `{"message": "CNPJ … não encontrado."}` and, for
a search that failed inside, `{"message": "Erro inesperado na busca."}`; 405 for anything but GET; 408 when a search
took longer than 90 seconds, with the advice to ask for fewer; 302 to its documentation when a search has no filter. The
messages come with different content types, so the body decides. 429, 5xx, broken answers: `integrations/reading.py`.
"""

from core.errors import ArgumentsWrong, MutiraoError, Refused
from integrations.reading import Answer, Reader, text


def not_understood(reader: Reader, answer: Answer) -> MutiraoError:
    """The failure for an answer that is no 200 and that the caller has no better name for."""
    detail = message(answer) or f"HTTP {answer.status}"
    if answer.status in (404, 408):  # a search that failed or took too long; the same one may go well later
        return reader.unavailable(detail)
    if answer.status in (400, 422):
        return ArgumentsWrong("registry_query_wrong", detail, detail=detail)
    if answer.status in (301, 302, 307, 308):
        return reader.broken(f"HTTP {answer.status} to another address")
    if 400 <= answer.status < 500:
        return refused(answer)
    return reader.broken(detail)


def refused(answer: Answer) -> Refused:
    """The server will not answer this, in its own words."""
    detail = message(answer) or f"HTTP {answer.status}"
    return Refused("registry_refused", detail, detail=detail)


def message(answer: Answer) -> str | None:
    """The server's own sentence, at most 200 characters."""
    found = text(answer.body.get("message")) if isinstance(answer.body, dict) else None
    return found[:200] if found else None


def query_wrong(detail: str) -> ArgumentsWrong:
    """A search that the registry would refuse or misunderstand, refused before it is sent."""
    return ArgumentsWrong("registry_query_wrong", detail, detail=detail)


def cnpj_wrong(cnpj: str) -> ArgumentsWrong:
    """No CNPJ: wrong length or check digits."""
    return ArgumentsWrong("registry_cnpj_wrong", f"{cnpj} is no CNPJ", cnpj=cnpj[:30])
