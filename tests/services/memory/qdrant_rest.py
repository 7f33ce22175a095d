"""Qdrant's REST protocol on a loopback port, for the requests that the memory makes, with faults on demand.

Requests are read by Qdrant's own models, so that one it wouldn't understand is refused, and answered by the client's
embedded engine. It is no Qdrant server: indexes, concurrency control across nodes and limits aren't there.
"""

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from qdrant_client import QdrantClient, models

Selector: TypeAdapter[Any] = TypeAdapter(models.PointsSelector)


@dataclass
class QdrantRest:
    url: str = ""
    key: str = ""
    """Asked of every request where set."""
    fault: int = 0
    """Answer every request with this HTTP status."""
    hang: float = 0.0
    requests: list[tuple[str, str]] = field(default_factory=list)
    engine: QdrantClient = field(default_factory=lambda: QdrantClient(":memory:"))
    lock: threading.Lock = field(default_factory=threading.Lock)
    before_upsert: Any = None
    """Called before a point is written: another writer's chance to be faster."""

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        found = re.fullmatch(r"/collections/([\w-]+)(/\w+)?(/\w+)?", path)
        if not found:
            return 404, "no such path"
        name, action = found[1], (found[2] or "") + (found[3] or "")
        if (method, action) == ("GET", "/exists"):
            return 200, {"exists": self.engine.collection_exists(name)}
        if (method, action) == ("PUT", ""):
            if self.engine.collection_exists(name):
                return 409, f"Collection `{name}` already exists!"
            wanted = models.CreateCollection.model_validate(body)
            return 200, self.engine.create_collection(
                name, vectors_config=wanted.vectors, metadata=wanted.metadata
            )
        if not self.engine.collection_exists(name):
            return 404, f"Collection `{name}` doesn't exist!"
        return self._on(name, method, action, body)

    def _on(self, name: str, method: str, action: str, body: Any) -> tuple[int, Any]:
        engine = self.engine
        match method, action:
            case "GET", "":
                return 200, engine.get_collection(name)
            case "DELETE", "":
                return 200, engine.delete_collection(name)
            case "PUT", "/index":
                models.CreateFieldIndex.model_validate(body)
                return 200, _done()
            case "PUT", "/points":
                if self.before_upsert is not None:
                    self.before_upsert()
                given = models.PointsList.model_validate(body)
                engine.upsert(name, given.points, update_filter=given.update_filter)
                return 200, _done()
            case "POST", "/points":
                one = models.PointRequest.model_validate(body)
                return 200, engine.retrieve(
                    name, one.ids, with_payload=one.with_payload, with_vectors=one.with_vector or False
                )
            case "POST", "/points/query":
                query = models.QueryRequest.model_validate(body)
                return 200, engine.query_points(
                    name,
                    query=query.query,
                    using=query.using,
                    query_filter=query.filter,
                    limit=query.limit or 10,
                    score_threshold=query.score_threshold,
                    with_payload=query.with_payload or False,
                )
            case "POST", "/points/scroll":
                scroll = models.ScrollRequest.model_validate(body)
                points, after = engine.scroll(
                    name,
                    scroll_filter=scroll.filter,
                    limit=scroll.limit or 10,
                    offset=scroll.offset,
                    with_payload=scroll.with_payload or False,
                )
                return 200, {"points": _plain(points), "next_page_offset": after}
            case "POST", "/points/count":
                count = models.CountRequest.model_validate(body)
                return 200, engine.count(name, count_filter=count.filter)
            case "POST", "/points/delete":
                engine.delete(name, points_selector=Selector.validate_python(body))
                return 200, _done()
        return 404, "no such path"


def _done() -> Any:
    return models.UpdateResult(operation_id=0, status=models.UpdateStatus.COMPLETED)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    return [_plain(one) for one in value] if isinstance(value, list) else value


@contextmanager
def qdrant_rest() -> Iterator[QdrantRest]:
    told = QdrantRest()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            path = self.path.partition("?")[0]
            told.requests.append((self.command, path))
            time.sleep(told.hang)
            if told.key and self.headers.get("api-key") != told.key:
                status, result = 403, "Forbidden: invalid api-key"
            elif told.fault:
                status, result = told.fault, "out of order"
            else:
                try:
                    with told.lock:
                        status, result = told.answer(self.command, path, body)
                except (ValidationError, ValueError) as error:
                    status, result = 400, str(error)
            ok = status == 200
            answer = {"result": _plain(result)} if ok else {"status": {"error": result}}
            data = json.dumps(answer | {"time": 0.0} | ({"status": "ok"} if ok else {})).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except OSError:
                self.close_connection = True  # whoever asked didn't wait

        do_GET = do_PUT = do_POST = do_DELETE = _serve

        def log_message(self, *_: Any) -> None:
            """Not into the tests' output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    told.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
