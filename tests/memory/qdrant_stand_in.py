"""A server that speaks the part of Qdrant's REST wire that our client sends, for tests: there is no binary of Qdrant on
PyPI or in Debian. Requests are read by the installed client's own models, so what the real server would not understand
is refused here too. Searching is done by brute force, written from the documented meaning of each question.
"""

import asyncio
import math
import threading
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from pydantic import BaseModel, ValidationError
from qdrant_client import models
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from integrations.sandbox_http import Abortable, Fault, SandboxHttp, listen


@dataclass
class Collection:
    vectors: dict[str, Any]
    sparse: dict[str, Any]
    points: dict[str, Any] = field(default_factory=dict)
    """By id: {"vector": {name: vector}, "payload": {…}}."""
    indexes: dict[str, Any] = field(default_factory=dict)


class Misfit(Exception):
    """A question of another size than the vectors."""


class Points(BaseModel, extra="forbid"):
    """PUT /points, in its form as a list."""

    points: list[models.PointStruct]


class QdrantStandIn:
    """The server, in a thread of its own on loopback. It fails on demand; `collections` may be looked into."""

    def __init__(self, api_key: str | None = None) -> None:
        self.collections: dict[str, Collection] = {}
        self.http = SandboxHttp("qdrant", self._respond)
        self.bodies: list[tuple[str, str, Any]] = []
        """(method, path, JSON) of what came, but for points."""
        self._api_key = api_key
        self._socket = listen(0)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            self.http.app, http=Abortable, ws="none", lifespan="off", log_level="warning", access_log=False
        )
        config.timeout_graceful_shutdown = 1
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._server.serve(sockets=[self._socket])), name="qdrant stand-in", daemon=True
        )

    def __enter__(self) -> "QdrantStandIn":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(10)

    def fail(self, kind: str, times: int = 1, **more: Any) -> None:
        self.http.faults.append(Fault(kind, times, **more))

    def forget(self) -> None:
        """Be as new."""
        self.collections.clear()
        self.bodies.clear()
        self.http.faults.clear()

    # --- answers ------------------------------------------------------------------------------

    def _respond(self, request: Request) -> Response:
        if self._api_key is not None and request.headers.get("api-key") != self._api_key:
            return Response("Must provide an API key or an Authorization bearer token", 401)
        parts = request.url.path.strip("/").split("/")
        if parts == [""]:
            return JSONResponse({"title": "qdrant - vector search engine", "version": "1.20.0"})
        if parts[0] != "collections" or len(parts) < 2:
            return _error(404, "not found")
        name, rest, body = parts[1], "/".join(parts[2:]), request.state.body
        if not rest.startswith("points") or "query" in rest:
            self.bodies.append((request.method, request.url.path, body.decode()))
        try:
            return self._collection(request.method, name, rest, body)
        except Misfit as error:
            return _error(400, f"Wrong input: {error}")
        except ValidationError as error:
            return _error(400, f"Format error in JSON body: {error.errors()[0]}")

    def _collection(self, method: str, name: str, rest: str, body: bytes) -> Response:
        found = self.collections.get(name)
        if rest == "exists":
            return _result({"exists": found is not None})
        if (method, rest) == ("PUT", ""):
            if found is not None:
                return _error(409, f"Wrong input: Collection `{name}` already exists!")
            asked = models.CreateCollection.model_validate_json(body)
            dense = {key: params.model_dump(exclude_none=True) for key, params in dict(asked.vectors or {}).items()}
            words = {
                key: params.model_dump(exclude_none=True) for key, params in dict(asked.sparse_vectors or {}).items()
            }
            self.collections[name] = Collection(dense, words)
            return _result(True)
        if (method, rest) == ("DELETE", ""):
            return _result(self.collections.pop(name, None) is not None)
        if found is None:
            return _error(404, f"Not found: Collection `{name}` doesn't exist!")
        if (method, rest) == ("GET", ""):
            return _result(_described(found))
        if (method, rest) == ("PUT", "index"):
            index = models.CreateFieldIndex.model_validate_json(body)
            found.indexes[index.field_name] = index.field_schema
            return _updated()
        if (method, rest) == ("PUT", "points"):
            return self._upsert(found, Points.model_validate_json(body))
        if rest == "points/delete":
            chosen = models.FilterSelector.model_validate_json(body)
            for point in [one for one in found.points if _matches(found, one, chosen.filter)]:
                del found.points[point]
            return _updated()
        if rest == "points/count":
            wanted = models.CountRequest.model_validate_json(body)
            return _result({"count": sum(_matches(found, one, wanted.filter) for one in found.points)})
        if rest == "points/scroll":
            return self._scroll(found, models.ScrollRequest.model_validate_json(body))
        if rest == "points/query/batch":
            batch = models.QueryRequestBatch.model_validate_json(body)
            return _result([{"points": _nearest(found, one)} for one in batch.searches])
        return _error(404, "not found")

    def _upsert(self, found: Collection, asked: Points) -> Response:
        for point in asked.points:
            given = point.model_dump()["vector"]
            for key, vector in given.items():
                dense = found.vectors.get(key)
                if dense is None and key not in found.sparse:
                    return _error(400, f"Wrong input: Not existing vector name error: {key}")
                if dense is not None and len(vector) != dense["size"]:
                    size = dense["size"]
                    return _error(400, f"Wrong input: Vector dimension error: expected dim: {size}, got {len(vector)}")
            found.points[str(point.id)] = {"vector": given, "payload": point.payload or {}}
        return _updated()

    def _scroll(self, found: Collection, asked: models.ScrollRequest) -> Response:
        ids = sorted(point for point in found.points if _matches(found, point, asked.filter))
        ids = [point for point in ids if asked.offset is None or point >= str(asked.offset)]
        limit = asked.limit or 10
        page, after = ids[:limit], ids[limit] if len(ids) > limit else None
        records = [
            {"id": point, "vector": found.points[point]["vector"] if asked.with_vector else None} for point in page
        ]
        return _result({"points": records, "next_page_offset": after})


# --- what the questions mean ------------------------------------------------------------------------


def _matches(found: Collection, point: str, wanted: Any) -> bool:
    if wanted is None:
        return True
    parts = {key: _listed(getattr(wanted, key)) for key in ("must", "must_not", "should")}
    return (
        all(_holds(found, point, one) for one in parts["must"])
        and not any(_holds(found, point, one) for one in parts["must_not"])
        and (not parts["should"] or any(_holds(found, point, one) for one in parts["should"]))
    )


def _holds(found: Collection, point: str, condition: Any) -> bool:
    if isinstance(condition, models.HasIdCondition):
        return point in {str(one) for one in condition.has_id}
    if isinstance(condition, models.Filter):
        return _matches(found, point, condition)
    assert isinstance(condition, models.FieldCondition), f"the stand-in knows no {type(condition).__name__}"
    value = found.points[point]["payload"].get(condition.key)
    values = value if isinstance(value, list) else [value]
    if isinstance(condition.match, models.MatchAny):
        return any(one in condition.match.any for one in values)
    assert isinstance(condition.match, models.MatchValue)
    return condition.match.value in values


def _nearest(found: Collection, asked: models.QueryRequest) -> list[dict[str, Any]]:
    assert isinstance(asked.query, models.NearestQuery) and asked.using is not None
    question = asked.query.nearest
    candidates = [point for point in found.points if _matches(found, point, asked.filter)]
    if isinstance(question, models.SparseVector):
        corpus = (
            asked.params.idf.corpus if asked.params and isinstance(asked.params.idf, models.IdfCorpusParams) else None
        )
        rarity = _rarity(found, asked.using, corpus)
        scores = {point: _dot(question, found.points[point]["vector"][asked.using], rarity) for point in candidates}
        scores = {point: score for point, score in scores.items() if score is not None}
    else:
        assert isinstance(question, list)
        if len(question) != found.vectors[asked.using]["size"]:
            raise Misfit(f"Vector dimension error: got {len(question)}")
        scores = {point: _cosine(question, found.points[point]["vector"][asked.using]) for point in candidates}
    best = sorted(scores, key=lambda point: -scores[point])[: asked.limit or 10]
    return [{"id": point, "version": 0, "score": scores[point]} for point in best]


def _rarity(found: Collection, using: str, corpus: Any) -> dict[int, float]:
    """ln(1 + (N - n + 0.5) / (n + 0.5)) for each word, over the points of the corpus (Qdrant, "IDF")."""
    known = [point for point in found.points if _matches(found, point, corpus)]
    having: dict[int, int] = {}
    for point in known:
        for index in found.points[point]["vector"][using]["indices"]:
            having[index] = having.get(index, 0) + 1
    return {index: math.log(1 + (len(known) - count + 0.5) / (count + 0.5)) for index, count in having.items()}


def _dot(question: models.SparseVector, kept: Any, rarity: dict[int, float]) -> Any:
    weights = dict(zip(kept["indices"], kept["values"], strict=True))
    shared = [
        (index, value) for index, value in zip(question.indices, question.values, strict=True) if index in weights
    ]
    return sum(value * weights[index] * rarity.get(index, 0.0) for index, value in shared) if shared else None


def _cosine(one: list[float], other: list[float]) -> float:
    lengths = math.sqrt(sum(x * x for x in one)) * math.sqrt(sum(x * x for x in other))
    return sum(x * y for x, y in zip(one, other, strict=True)) / lengths if lengths else 0.0


def _listed(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]


# --- the forms of answers ---------------------------------------------------------------------------


def _result(result: Any) -> Response:
    return JSONResponse({"result": result, "status": "ok", "time": 0.0001})


def _updated() -> Response:
    return _result({"operation_id": 1, "status": "completed"})


def _error(status: int, words: str) -> Response:
    return JSONResponse({"status": {"error": words}, "time": 0.0001}, status)


def _described(found: Collection) -> dict[str, Any]:
    params = {"vectors": found.vectors, "sparse_vectors": found.sparse, "shard_number": 1, "replication_factor": 1}
    hnsw = {"m": 16, "ef_construct": 100, "full_scan_threshold": 10_000}
    optimizers = {"deleted_threshold": 0.2, "vacuum_min_vector_number": 1000, "default_segment_number": 0}
    optimizers |= {"flush_interval_sec": 5}
    return {
        "status": "green",
        "optimizer_status": "ok",
        "points_count": len(found.points),
        "segments_count": 1,
        "config": {"params": params, "hnsw_config": hnsw, "optimizer_config": optimizers},
        "payload_schema": {},
    }
