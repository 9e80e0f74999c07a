"""The ASGI application: every request comes in here and leaves as JSON, a file or problem details.

One request: find the route, take request id and language, check the headers, read the bounded body, decode it, then by style of
the route run a read in a reader thread, a change on the lane, or longer work in a worker thread.  Whatever goes wrong becomes a
problem with a trace id.
"""

import asyncio
import collections
import concurrent.futures
import contextlib
import dataclasses
import re
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import msgspec
import structlog
from starlette import requests, responses, routing, types

from apiserver import decode, faults, outage, problem, route, routes
from control import case, login
from primitives import clock, errors, ids
from store import awaiting

READERS: Final = 6
WORKERS: Final = 4
WAITING_MAX: Final = 1000
"""Requests under way in this process; beyond that 503."""
LANE_S: Final = 30
"""How long a change may wait for its commit before the caller is told to repeat it."""

_log = structlog.get_logger("apiserver")
_TRACE: Final = re.compile(r"[A-Za-z0-9._-]{8,64}")
_ALWAYS: Final = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


class Api:
    """The ASGI callable.  `wiring` is `control.wiring.Wiring`."""

    def __init__(self, wiring: Any, declared: list[route.Route] | None = None, *, lang: str = "en") -> None:
        self.wiring = wiring
        self.lang = lang
        self.routes = routes.gathered() if declared is None else declared
        self.counts: collections.Counter[tuple[str, str, int]] = collections.Counter()  # (method, path of the route, status)
        self._waiting = 0
        self._readers = concurrent.futures.ThreadPoolExecutor(READERS, "reader")
        self._workers = concurrent.futures.ThreadPoolExecutor(WORKERS, "work")
        self._router = routing.Router(
            _grouped(self.routes, self._serve), redirect_slashes=False, default=self._unknown, lifespan=self._life
        )

    async def __call__(self, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        """One request, or the life span of the server."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        await self._router(scope, receive, send)

    @contextlib.asynccontextmanager
    async def _life(self, _: Any) -> AsyncIterator[None]:
        yield
        self._readers.shutdown(wait=True)
        self._workers.shutdown(wait=True)

    async def _unknown(self, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        if scope["type"] != "http":
            return
        path = str(scope["path"])[:200]
        await self._serve({}, requests.Request(scope, receive), send, fault=faults.NO_ROUTE(path=path))

    async def _serve(
        self,
        by_method: dict[str, route.Route],
        request: requests.Request,
        send: types.Send,
        *,
        fault: errors.GovpoolError | None = None,
    ) -> None:
        """Answer one request, whatever happens."""
        started = clock.monotonic_s()
        trace = _trace(request)
        lang = decode.language(request.headers.get("accept-language"), self.lang)
        declared = by_method.get("GET" if request.method == "HEAD" else request.method)
        self._waiting += 1
        try:
            if fault is not None:
                raise fault
            if declared is None:
                response = _no_method(by_method, request)
            else:
                response = await self._run(declared, request, trace, lang)
        except requests.ClientDisconnect:
            _log.info("request.abandoned", trace=trace)
            return
        except Exception as error:
            response = self._refused(error, request, lang, trace)
        finally:
            self._waiting -= 1
        response.headers["X-Request-Id"] = trace
        for name, value in _ALWAYS.items():
            response.headers.setdefault(name, value)
        path = declared.path if declared else ""
        self.counts[request.method if declared else "", path, response.status_code] += 1
        ms = round((clock.monotonic_s() - started) * 1000)
        _log.info("request", trace=trace, method=request.method, route=path, status=response.status_code, ms=ms)
        await response(request.scope, request.receive, send)

    def _refused(self, error: Exception, request: requests.Request, lang: str, trace: str) -> responses.Response:
        """The answer to what went wrong.  A defect is logged with its traceback; an outage of the database is no defect."""
        if outage.is_one(error):
            _log.warning("request.outage", trace=trace, reason=str(error))
            error = faults.DATABASE()
        elif not isinstance(error, errors.GovpoolError):
            _log.error("request.failed", trace=trace, method=request.method, path=request.url.path, exc_info=error)
            error = errors.INTERNAL()
        if error.fault.kind is errors.Kind.UNAUTHENTICATED:
            self.wiring.strangers.count(_source(request))
        if error.fault.kind is errors.Kind.UNAVAILABLE:
            _log.warning("request.unavailable", trace=trace, code=error.code, values=error.values)
        return problem_response(error, lang, trace)

    async def _run(self, declared: route.Route, request: requests.Request, trace: str, lang: str) -> responses.Response:
        if self._waiting > WAITING_MAX and not declared.open:
            raise faults.BUSY(waiting=self._waiting)
        call = await self._call(declared, request, trace, lang)
        loop = asyncio.get_running_loop()
        if declared.style == "now":
            return _found(declared.handler(call), declared)
        if declared.style == "look":
            return _found(await loop.run_in_executor(self._workers, declared.handler, call), declared)
        if declared.style == "read":
            return await loop.run_in_executor(self._readers, self._read, call)
        if declared.style == "work":
            answer = await loop.run_in_executor(self._workers, self._work, call)
        else:
            answer = await self._change(call)
        return _answered(answer)

    async def _call(self, declared: route.Route, request: requests.Request, trace: str, lang: str) -> route.Call:
        """The decoded request.  A caller without a token is refused before its body is read."""
        token = _token(request)
        if not token and not declared.open:
            raise faults.NO_TOKEN()
        context = self._context(declared, request, token, trace, lang)
        path = decode.path({name: str(value) for name, value in request.path_params.items()})
        query, dry_run = decode.query(declared, request.scope.get("query_string", b""))
        raw = await _content(declared, request)
        context = case.with_body(context, raw)
        body: Any = decode.body(declared, raw) if declared.body is not None else None
        if not context.reason and hasattr(body, "reason"):
            context = dataclasses.replace(context, reason=body.reason)  # a reason that is part of the wish stands in the trail too
        return route.Call(
            route=declared,
            path=path,
            query=query,
            body=body,
            raw=raw,
            context=context,
            wiring=self.wiring,
            dry_run=dry_run,
            counts=self.counts,
        )

    def _context(self, declared: route.Route, request: requests.Request, token: str, trace: str, lang: str) -> case.Context:
        key = decode.idempotency_key(declared, request.headers.get("idempotency-key"), ids.new("key")) if declared.mutating else ""
        return case.Context(
            token=token,
            request_id=trace,
            idempotency_key=key,
            method=declared.method,
            path=request.url.path,
            if_match=decode.if_match(declared, request.headers.get("if-match")),
            lang=lang,
            source=_source(request),
            reason=decode.reason(request.headers.get("x-govpool-reason")),
        )

    def _read(self, call: route.Call) -> responses.Response:
        def reading(tx: Any) -> Any:
            if not call.route.open:
                call.who = case.who(tx, call.context)
            return call.route.handler(tx, call)

        found = self.wiring.database.read(reading)
        login.keep_alive(self.wiring, call.who)
        return _found(found, call.route)

    def _work(self, call: route.Call) -> case.Answer:
        if not call.route.open:
            call.who = self.wiring.database.read(lambda tx: case.who(tx, call.context))
            login.keep_alive(self.wiring, call.who)
        answer: case.Answer = call.route.handler(call)
        return answer

    async def _change(self, call: route.Call) -> case.Answer:
        future = awaiting.on_loop(case.submit(self.wiring, call.rehearsed(call.route.handler(call)), call.context))
        try:
            return await asyncio.wait_for(asyncio.shield(future), LANE_S)
        except TimeoutError as error:
            raise faults.SLOW(waited_s=LANE_S) from error


def problem_response(error: errors.GovpoolError, lang: str, trace: str) -> responses.Response:
    """The answer that carries an error."""
    content = msgspec.json.encode(problem.of(error, lang, trace), enc_hook=str)
    headers = problem.headers(error) | {"Content-Language": lang}
    return responses.Response(content, problem.status_of(error), headers, problem.MEDIA)


def _grouped(declared: list[route.Route], serve: Callable[..., Any]) -> list[routing.Route]:
    """One Starlette route a path, so that 405 can name all methods; literal paths before those with parameters."""
    paths: dict[str, dict[str, route.Route]] = {}
    for item in declared:
        paths.setdefault(item.path, {})[item.method] = item
    ordered = sorted(paths, key=lambda path: [part.startswith("{") for part in path.split("/")])
    return [routing.Route(path, _Endpoint(paths[path], serve)) for path in ordered]


class _Endpoint:
    """All operations of one path."""

    def __init__(self, by_method: dict[str, route.Route], serve: Callable[..., Any]) -> None:
        self.by_method = by_method
        self.serve = serve

    async def __call__(self, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        await self.serve(self.by_method, requests.Request(scope, receive), send)


def _no_method(by_method: dict[str, route.Route], request: requests.Request) -> responses.Response:
    allow = ", ".join(sorted({*by_method, "OPTIONS", *(["HEAD"] if "GET" in by_method else [])}))
    if request.method == "OPTIONS":
        return responses.Response(status_code=204, headers={"Allow": allow})
    raise faults.METHOD(method=request.method[:20], path=request.url.path[:200], allow=allow)


def _trace(request: requests.Request) -> str:
    given = request.headers.get("x-request-id", "")
    return given if _TRACE.fullmatch(given) else ids.new("req")


def _source(request: requests.Request) -> str:
    """The address that the request came from; one that a proxy passed on never counts as local."""
    host = request.client.host if request.client else ""
    forwarded = request.headers.get("x-forwarded-for") or request.headers.get("forwarded")
    return f"{host} for {forwarded[:100]}" if forwarded else host


def _token(request: requests.Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip()[:200] if scheme.lower() == "bearer" else ""


async def _content(declared: route.Route, request: requests.Request) -> bytes:
    """The body, at most `declared.limit` bytes.  Raises input.too_large, input.content_type."""
    wanted = declared.raw or ("application/json" if declared.body is not None else "")
    if not wanted:
        return b""
    found = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if found != wanted:
        raise faults.CONTENT_TYPE(wanted=wanted, found=found[:80] or "nothing")
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length[:20]) > declared.limit:
        raise faults.TOO_LARGE(limit=declared.limit)
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > declared.limit:
            raise faults.TOO_LARGE(limit=declared.limit)
    return bytes(content)


def _found(value: Any, declared: route.Route) -> responses.Response:
    """The answer of a read; a document carries its generation as ETag."""
    if isinstance(value, route.Raw):
        headers = {"Content-Disposition": f'attachment; filename="{value.filename}"'} if value.filename else {}
        return responses.Response(value.content, declared.status, headers | dict(value.headers), value.media)
    return responses.Response(msgspec.json.encode(value), declared.status, _etag(value), "application/json")


def _answered(answer: case.Answer) -> responses.Response:
    headers = _etag(answer.body) if answer.generation is None else {"ETag": f'"{answer.generation}"'}
    if answer.body is None:
        return responses.Response(status_code=204, headers=headers)
    body = msgspec.json.encode(answer.body, order="sorted")  # a repetition reads it from canonical text: both say the same bytes
    return responses.Response(body, answer.status, headers, "application/json")


def _etag(value: Any) -> dict[str, str]:
    if isinstance(value, dict):
        metadata = value.get("metadata")
        generation = metadata.get("generation") if isinstance(metadata, dict) else value.get("generation")
        if isinstance(generation, int):
            return {"ETag": f'"{generation}"'}
    return {}
