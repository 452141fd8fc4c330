"""A small HTTP/1.1 server over TLS: requests in, answers out, one connection after the other request."""

import asyncio
import json
import re
import ssl
import traceback
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

REASONS = {200: "OK", 201: "Created", 302: "Found", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found",
           409: "Conflict", 415: "Unsupported Media Type", 429: "Too Many Requests", 500: "Internal Server Error",
           503: "Service Unavailable"}
MAX_HEAD = 64 * 1024
MAX_BODY = 1024 * 1024


async def after(seconds):
    """A delay that a fault asks for."""
    waiter = asyncio.get_running_loop().create_future()
    timer = asyncio.get_running_loop().call_later(seconds, lambda: waiter.done() or waiter.set_result(None))
    try:
        await waiter
    finally:
        timer.cancel()


@dataclass
class Request:
    method: str
    path: str
    query: dict
    headers: dict
    body: bytes
    certificate: bytes | None  # the client's leaf, DER
    chain: int  # certificates that the client sent
    host: str  # host:port it came to
    match: re.Match | None = None

    @property
    def json(self):
        try:
            value = json.loads(self.body or b"{}")
        except ValueError:
            raise Refusal(400, "COULD_NOT_PARSE_BODY", "The supplied request body could not be parsed") from None
        return value if isinstance(value, dict) else {}

    @property
    def form(self):
        return {key: values[0] for key, values in parse_qs(self.body.decode(errors="replace")).items()}


@dataclass
class Answer:
    status: int = 200
    headers: dict = field(default_factory=dict)
    body: bytes = b""

    @classmethod
    def of(cls, value, status=200, **headers):
        raw = json.dumps(value).encode()
        return cls(status, {"Content-Type": "application/json", **headers}, raw)


class Refusal(Exception):
    """An error answer in the controller's form."""

    def __init__(self, status, code, message, cause=None, **headers):
        super().__init__(message)
        self.status, self.code, self.message, self.cause, self.headers = status, code, message, cause, headers

    def answer(self, request_id):
        error = {"code": self.code, "message": self.message, "requestId": str(request_id)}
        if self.cause:
            error |= {"cause": self.cause, "causeMessage": ""}
        return Answer.of({"error": error, "meta": {"apiVersion": "0.0.1"}}, self.status, **self.headers)


class Routes:
    """Handlers by method and path, added by decorator; `{name}` in a path is a group."""

    def __init__(self):
        self._table = []

    def add(self, method, *paths):
        def keep(handler):
            for path in paths:
                pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path.replace(".", r"\.")) + "$")
                self._table.append((method, pattern, handler))
            return handler

        return keep

    def find(self, request):
        for method, pattern, handler in self._table:
            request.match = pattern.match(request.path)
            if request.match and method == request.method:
                return handler
        return None


class Listener:
    """A TLS server whose port stays when it is stopped and started again."""

    def __init__(self, serve, context, **options):
        self._serve, self.context, self._options = serve, context, options
        self._server, self.port = None, 0
        self.writers = set()

    async def start(self):
        self._server = await asyncio.start_server(
            self._client, "127.0.0.1", self.port, ssl=self.context, ssl_handshake_timeout=10, backlog=512,
            **self._options
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self):
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self.writers):
            writer.transport.abort()

    async def _client(self, reader, writer):
        self.writers.add(writer)
        try:
            await self._serve(reader, writer)
        except (OSError, ssl.SSLError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        except Exception:  # a fault of the stand-in itself must be seen
            traceback.print_exc()
        finally:
            self.writers.discard(writer)
            writer.close()


async def read_request(reader, writer):
    raw = await reader.readuntil(b"\r\n\r\n")
    lines = raw.decode("latin-1").split("\r\n")
    method, target, _ = lines[0].split(" ", 2)
    headers = {}
    for line in lines[1:]:
        if line:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
    body = b""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += (await reader.readexactly(size + 2))[:-2]
            if len(body) > MAX_BODY:
                raise OSError("body too large")
        while await reader.readuntil(b"\r\n") != b"\r\n":
            pass
    elif size := int(headers.get("content-length", "0")):
        if size > MAX_BODY:
            raise OSError("body too large")
        body = await reader.readexactly(size)
    parts = urlsplit(target)
    tls = writer.get_extra_info("ssl_object")
    sent = getattr(getattr(tls, "_sslobj", None), "get_unverified_chain", lambda: None)() or ()
    return Request(
        method, unquote(parts.path), {key: values[0] for key, values in parse_qs(parts.query).items()}, headers,
        body, tls.getpeercert(binary_form=True), len(sent), headers.get("host", ""),
    )


def write_answer(writer, answer, close):
    lines = [f"HTTP/1.1 {answer.status} {REASONS.get(answer.status, 'Status')}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in answer.headers.items()]
    lines += [f"Content-Length: {len(answer.body)}"] + (["Connection: close"] if close else [])
    writer.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + answer.body)


async def serve_http(reader, writer, handle):
    """Requests of one connection, in order, until either end closes. `handle` returns None to cut it."""
    while True:
        request = await read_request(reader, writer)
        answer = await handle(request)
        if answer is None:
            writer.transport.abort()
            return
        close = request.headers.get("connection", "").lower() == "close"
        write_answer(writer, answer, close)
        await writer.drain()
        if close:
            return
