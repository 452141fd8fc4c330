"""What became of a case at one proxy: what the origin behind it got, and what the client got back."""

import contextlib
import re
from dataclasses import dataclass, field

from raw_http import Cut, Malformed, Response

TOKENS = re.compile(rb"q\d{4}")

# What a proxy says of itself, and of a connection.
OF_THE_PROXY = re.compile(
    r"x-forwarded-.*|forwarded|x-real-ip|via|connection|content-length|transfer-encoding|te"
)


@dataclass(frozen=True)
class Received:
    """A whole request, in the form in which it does not matter how it was delimited."""

    method: str
    target: str
    host: str
    body: bytes
    fields: frozenset = field(compare=False)  # (lower-case name, value), trailers included

    @classmethod
    def of(cls, request):
        return cls(
            request.method,
            request.target,
            ",".join(request.values("Host")).lower(),
            bytes(request.body),
            frozenset(passed([*request.fields, *request.trailers])),
        )

    @property
    def own(self):
        """One of the suite's own requests behind the case."""
        return self.target.startswith(("/end-", "/probe-", "/again-"))


def passed(fields):
    """(lower-case name, value) of what came from the client. How a fold was undone is no matter,
    nor how many protocols an upgrade offers."""
    for name, value in fields:
        name = name.lower()
        if name != "host" and not OF_THE_PROXY.fullmatch(name):
            for member in value.split(",") if name == "upgrade" else [value]:
                yield name, " ".join(member.split())


@dataclass
class Seen:
    answers: list = field(default_factory=list)  # (status, target that the origin saw or None)
    bodies: list = field(default_factory=list)
    how: str = ""  # FIN, RST, cut, malformed or waiting
    requests: list = field(default_factory=list)  # whole ones at the origin, probes left out

    @property
    def received(self):
        """What the case itself made of it."""
        return [each for each in self.requests if each == "malformed" or not each.own]

    @property
    def from_origin(self):
        return [target for _, target in self.answers if target is not None]

    @contextlib.contextmanager
    def reading(self, client):
        """Notes how the reading of answers ended."""
        try:
            yield
            self.how = self.how or client.ended
        except Cut:
            self.how = "cut"
        except (Malformed, AssertionError):
            self.how = "malformed"
        except TimeoutError:
            self.how = "waiting"
        except OSError:
            self.how = "RST"

    def note(self, answer):
        self.answers.append((answer.status, answer.value("X-Target")))
        self.bodies.append(bytes(answer.body))

    def read_answers(self, client, count=None):
        """So many final responses, or every one up to the end of the connection."""
        while len(self.answers) != count and (client.unread() or client.more()):
            answer = Response(client.head())
            if answer.value("X-Method") != "HEAD":
                client.body(answer)
            if answer.status >= 200:
                self.note(answer)


def echo(request, peer):
    """Says what was asked, so that a client can tell whose answer it got."""
    peer.body(request)
    body = b"" if request.method == "HEAD" else request.target.encode("latin-1")
    length = len(request.target)
    head = f"HTTP/1.1 200 OK\r\nX-Target: {request.target}\r\nX-Method: {request.method}\r\n"
    peer.send(f"{head}Content-Length: {length}\r\n\r\n".encode("latin-1") + body)


def recorded(origin):
    """The whole requests by their tokens, and those that do not belong to exactly one client."""
    by_token, strangers = {}, []
    for request in origin.requests:
        tokens = set(TOKENS.findall(request.raw + request.body))
        if len(tokens) > 1 or (request.complete and not tokens):
            strangers.append(request.raw + request.body)
        if request.complete and not request.target.startswith("/probe-"):
            for token in tokens:
                by_token.setdefault(token, []).append(Received.of(request))
    return by_token, strangers
