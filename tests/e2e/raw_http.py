"""HTTP/1.1 to the byte: a client that sends what it is told, and an origin that records what it gets.

Nothing here helps: no field is added, no line end mended. What is read is read strictly, so that a
message which a lenient reader would forgive fails the test. Nothing sleeps: a read waits for bytes,
for a FIN or for a RST, and tells them apart; ANSWER only bounds what hangs.

A client:

    with Client(address) as client:
        client.send(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
        answer = client.response()          # .status, .value("name"), .body, .trailers, .framing
        assert client.end() == FIN

An origin answers by a script: a function of (request, peer) called for each request whose head has
come, or `reply(...)` made of steps:

    origin.script = reply(OK, b"3\\r\\nabc\\r\\n", event, RST)
    origin.wait(1)[0].target                # what was asked, as it came
"""

import contextlib
import hashlib
import re
import socket
import struct
import threading

from programs import ANSWER

FIN = "FIN"
RST = "RST"

TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
FIELD = re.compile(rb"(" + TOKEN + rb"):[ \t]*(.*?)[ \t]*", re.DOTALL)
REQUEST_LINE = re.compile(rb"(" + TOKEN + rb") ([!-~\x80-\xff]+) HTTP/(1\.[01])")
STATUS_LINE = re.compile(rb"HTTP/(1\.[01]) ([1-5][0-9][0-9]) ([\t -~\x80-\xff]*)")
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})([ \t]*;[\t -~\x80-\xff]*)?")
CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def message(start, *fields, body=b""):
    """The bytes of a message: a start line, whole field lines, a body."""
    return "\r\n".join((start, *fields, "", "")).encode("latin-1") + body


# A websocket begins; what is said in it is bytes here.
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket")
HANDSHAKE = message(
    "GET / HTTP/1.1", "Host: a", *UPGRADE, "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: eA=="
)
SWITCH = message("HTTP/1.1 101 Switching Protocols", *UPGRADE)


class Malformed(AssertionError):
    """What was read is not HTTP/1.1."""


class Cut(Exception):
    """The connection ended in the middle of a message."""

    def __init__(self, how, partial):
        super().__init__(f"{how} after {len(partial)} bytes: {bytes(partial[-80:])!r}")
        self.how = how
        self.partial = bytes(partial)


class Message:
    """A head as it came, and its body once that was read."""

    def __init__(self, raw):
        self.raw = bytes(raw)
        lines = self.raw.removesuffix(b"\r\n\r\n").split(b"\r\n")
        self.start = lines[0]
        self.fields = [parse_field(line) for line in lines[1:]]
        self.framing = None  # "none", "length", "chunked" or "until close"
        self.body = b""
        self.chunks = []  # of a chunked body, as they were cut
        self.extensions = []
        self.trailers = []
        self.complete = False
        self.cut = None  # how the connection ended in the middle of it
        self._grew = threading.Condition()

    def values(self, name):
        """All values of a field in their order."""
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def value(self, name):
        """The value of a field that may come once; None without it."""
        found = self.values(name)
        assert len(found) <= 1, f"{name} came {len(found)} times: {found}"
        return found[0] if found else None

    def names(self):
        return [name.lower() for name, _ in self.fields]

    def grow(self, data):
        with self._grew:
            self.body += data
            self._grew.notify_all()

    def finish(self, cut=None):
        with self._grew:
            self.complete = cut is None
            self.cut = cut
            self._grew.notify_all()

    def wait_body(self, size):
        """The body, once so much of it has come."""
        with self._grew:
            assert self._grew.wait_for(lambda: len(self.body) >= size, ANSWER), (
                f"{len(self.body)} of {size} bytes came"
            )
            return self.body

    def wait_complete(self):
        with self._grew:
            assert self._grew.wait_for(lambda: self.complete or self.cut, ANSWER), (
                "the message did not end"
            )
        assert self.complete, f"{self.cut} after {len(self.body)} bytes of the body"
        return self

    def wait_cut(self):
        """FIN or RST, which ended the message in its middle."""
        with self._grew:
            assert self._grew.wait_for(lambda: self.complete or self.cut, ANSWER), (
                "the message did not end"
            )
        assert self.cut, "the message ended as if it were whole"
        return self.cut

    def _delimiters(self):
        length, coding = self.values("content-length"), self.values("transfer-encoding")
        if length and coding or len(length) > 1 or len(coding) > 1:
            raise Malformed(f"framed twice: {self.raw!r}")
        if coding and coding[0].lower() != "chunked":
            raise Malformed(f"transfer coding {coding[0]!r}")
        if length and not re.fullmatch("[0-9]+", length[0]):
            raise Malformed(f"length {length[0]!r}")
        return (int(length[0]) if length else None), bool(coding)


class Request(Message):
    def __init__(self, raw):
        super().__init__(raw)
        found = REQUEST_LINE.fullmatch(self.start)
        if not found:
            raise Malformed(f"request line {self.start!r}")
        self.method, self.target, self.version = (part.decode("latin-1") for part in found.groups())
        self.connection = None  # the Peer on which it came
        length, chunked = self._delimiters()
        self.length = length
        self.framing = "chunked" if chunked else "length" if length else "none"


class Response(Message):
    def __init__(self, raw, method="GET"):
        super().__init__(raw)
        found = STATUS_LINE.fullmatch(self.start)
        if not found:
            raise Malformed(f"status line {self.start!r}")
        version, status, reason = found.groups()
        self.version = version.decode()
        self.status = int(status)
        self.reason = reason.decode("latin-1")
        self.interim = []  # those that came before it
        length, chunked = self._delimiters()
        self.length = length
        if method == "HEAD" or self.status < 200 or self.status in (204, 304):
            self.framing = "none"
        elif chunked:
            self.framing = "chunked"
        else:
            self.framing = "until close" if length is None else "length"


def parse_field(line):
    found = FIELD.fullmatch(line)
    if not found or CONTROL.search(line):
        raise Malformed(f"field {line!r}")
    return found.group(1).decode(), found.group(2).decode("latin-1")


class Wire:
    """One end of a TCP connection: exact bytes out, exact bytes in."""

    def __init__(self, connection):
        self.socket = connection
        self.socket.settimeout(ANSWER)
        if connection.family != socket.AF_UNIX:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = bytearray()  # everything that was read
        self.ended = None
        self._used = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # Out

    def send(self, *pieces):
        """Each piece by a send of its own."""
        for piece in pieces:
            self.socket.sendall(piece)

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self):
        self.socket.close()

    # In

    def more(self):
        """Reads once; False when the connection has ended."""
        if self.ended:
            return False
        try:
            data = self.socket.recv(65536)
        except (ConnectionResetError, BrokenPipeError):
            self.ended = RST
            return False
        if not data:
            self.ended = FIN
        self.received += data
        return bool(data)

    def unread(self):
        return bytes(self.received[self._used :])

    def upto(self, mark):
        """Bytes up to and with the mark."""
        while (at := self.received.find(mark, self._used)) < 0:
            if not self.more():
                raise Cut(self.ended, self.unread())
        return self._take(at + len(mark) - self._used)

    def exactly(self, size):
        while len(self.received) - self._used < size:
            if not self.more():
                raise Cut(self.ended, self.unread())
        return self._take(size)

    def some(self):
        """What is there, at least a byte; empty at the end."""
        if not self.unread():
            self.more()
        return self._take(len(self.received) - self._used)

    def rest(self):
        """Everything up to the end, however that comes."""
        while self.more():
            pass
        return self._take(len(self.received) - self._used)

    def digest(self, size):
        """The SHA-256 of the next bytes, of which nothing is kept."""
        digest = hashlib.sha256()
        while size:
            data = self._take(min(size, len(self.received) - self._used))
            if not data and not (data := self.socket.recv(min(size, 1 << 20))):
                raise Cut(FIN, b"")
            digest.update(data)
            size -= len(data)
        return digest.digest()

    def end(self):
        """FIN or RST; nothing else may come before it."""
        extra = self.rest()
        assert not extra, f"unexpected bytes before the {self.ended}: {extra!r}"
        return self.ended

    def _take(self, size):
        taken = bytes(self.received[self._used : self._used + size])
        self._used += size
        return taken

    def head(self):
        return self.upto(b"\r\n\r\n")

    def body(self, message):
        """Reads the body of a message into it."""
        try:
            self._body(message)
        except Cut as cut:
            message.finish(cut.how)
            raise
        message.finish()
        return message

    def _body(self, message):
        if message.framing == "length":
            self._payload(message, message.length)
        elif message.framing == "chunked":
            self._chunked(message)
        elif message.framing == "until close":
            while data := self.some():
                message.grow(data)
            if self.ended == RST:
                raise Cut(RST, message.body)

    def _payload(self, message, left):
        while left:
            data = self.unread()[:left]
            if not data and not self.more():
                raise Cut(self.ended, message.body)
            left -= len(data)
            self._take(len(data))
            message.grow(data)

    def _chunked(self, message):
        while True:
            line = self.upto(b"\r\n")[:-2]
            found = CHUNK_LINE.fullmatch(line)
            if not found:
                raise Malformed(f"chunk line {line!r}")
            if found.group(2):
                message.extensions.append(found.group(2))
            size = int(found.group(1), 16)
            if size == 0:
                break
            before = len(message.body)
            self._payload(message, size)
            message.chunks.append(message.body[before:])
            if self.exactly(2) != b"\r\n":
                raise Malformed("no line end behind a chunk")
        while (line := self.upto(b"\r\n")) != b"\r\n":
            message.trailers.append(parse_field(line[:-2]))


class Client(Wire):
    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        super().__init__(socket.create_connection((host, int(port)), timeout=ANSWER))

    def response_head(self, method="GET"):
        return Response(self.head(), method)

    def response(self, method="GET"):
        """The next response, interim or final, with its body."""
        return self.body(self.response_head(method))

    def final(self, method="GET"):
        """The final response; what came before it is its .interim."""
        interim = []
        while (answer := self.response_head(method)).status < 200 and answer.status != 101:
            interim.append(answer)
        answer.interim = interim
        return self.body(answer)

    def ask(self, request, method="GET"):
        self.send(request)
        return self.final(method)


class Peer(Wire):
    """A connection that the origin got."""

    def __init__(self, origin, connection, number):
        super().__init__(connection)
        self.origin = origin
        self.number = number
        self.busy = False  # a script is at work


def reply(*steps):
    """A script: reads the request with its body, then does each step.

    Bytes are sent, an event is waited for, FIN closes, RST resets, anything else is called with
    (request, peer).
    """

    def script(request, peer):
        peer.body(request)
        play(request, peer, *steps)

    return script


def play(request, peer, *steps):
    for step in steps:
        if isinstance(step, bytes):
            peer.send(step)
        elif isinstance(step, threading.Event):
            assert step.wait(ANSWER), "the test did not go on"
        elif step == FIN:
            peer.close()
        elif step == RST:
            peer.reset()
        else:
            step(request, peer)


def may_be_cut(script):
    """The script, but a request that is cut in its middle is no failure."""

    def lenient(request, peer):
        with contextlib.suppress(Cut):
            script(request, peer)

    return lenient


def in_turn(*scripts):
    """A script for each request, in the order in which they come."""
    left = list(scripts)
    lock = threading.Lock()

    def script(request, peer):
        with lock:
            assert left, f"one request too many: {request.start!r}"
            chosen = left.pop(0)
        chosen(request, peer)

    return script


class Origin:
    """A TCP server on a free port; a thread for each connection."""

    def __init__(self):
        self.script = None
        self.requests = []
        self.failures = []  # of scripts, and bytes that are no HTTP
        self._connections = []
        self._accepted = 0
        self._changed = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = "http://" + self.address
        threading.Thread(target=self._accept, daemon=True).start()

    def begin(self):
        """A new test: what was kept alive ends first, and the agents notice that."""
        with self._changed:
            for peer in self._connections:
                with contextlib.suppress(OSError):
                    if peer.busy:
                        peer.socket.shutdown(socket.SHUT_RDWR)
                    else:
                        peer.half_close()
            assert self._changed.wait_for(lambda: not self._connections, ANSWER), (
                "a connection of an earlier test stayed"
            )
            self.requests = []
            self.failures = []
            self.script = reply(OK)

    def finish(self):
        """The end of a test: what went wrong in a script fails it."""
        failures, self.failures = self.failures, []
        assert not failures, failures

    def close(self):
        self._listener.close()

    def wait(self, count=1):
        """The requests, once so many heads have come; no more may have."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.requests) >= count, ANSWER), (
                f"{len(self.requests)} of {count} requests came"
            )
            assert len(self.requests) == count, [request.start for request in self.requests]
            return list(self.requests)

    def one(self):
        """The only request, whole."""
        return self.wait(1)[0].wait_complete()

    def open_connections(self):
        """How many there are that have asked something."""
        with self._changed:
            return sum(1 for peer in self._connections if peer.received)

    def wait_open(self, count):
        with self._changed:
            return self._changed.wait_for(
                lambda: sum(1 for peer in self._connections if peer.received) == count, ANSWER
            )

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._changed:
                peer = Peer(self, connection, self._accepted)
                self._accepted += 1
                self._connections.append(peer)
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer):
        try:
            # A script may have closed; what it left unread is no request then.
            while peer.socket.fileno() >= 0 and (request := self._next(peer)):
                script = self.script
                script(request, peer)
                peer.busy = False
        except (OSError, Cut) as lost:
            # A script that expects it catches it; the agents may also reset what a test gave up, and
            # that may be seen in the next test.
            reset = isinstance(lost, ConnectionError) or (isinstance(lost, Cut) and lost.how == RST)
            if peer.busy and not reset:
                self._failed(lost)
        except BaseException as failure:  # noqa: BLE001: everything else fails the test
            self._failed(failure)
        finally:
            peer.close()
            with self._changed:
                self._connections.remove(peer)
                self._changed.notify_all()

    def _failed(self, failure):
        with self._changed:
            self.failures.append(failure)

    def _next(self, peer):
        """A share also looks whether its target is there: such a connection asks nothing."""
        while not peer.unread():
            if not peer.more():
                return None
        peer.busy = True
        request = Request(peer.head())
        request.connection = peer
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
        return request
