"""The same bytes through Simplon, nginx and haproxy, to a recording origin behind each.

What must hold of Simplon: the origin sees as many requests as were answered from it; no message has
a byte of another client's; nothing that is cut or ambiguous looks complete; nothing passes that both
others refuse, but for what DIFFERENCES says. The corpus is tests/differential.
"""

import re
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "differential"))

from conformance import summary  # noqa: E402
from programs import Programs  # noqa: E402
from proxies import start_haproxy, start_nginx, start_simplon  # noqa: E402
from raw_http import FIN, Cut, Malformed, Response, may_be_cut  # noqa: E402
from request_corpus import TOKEN, requests  # noqa: E402
from response_corpus import KEEP, responses  # noqa: E402

AT_ONCE = 16
PATIENCE = 3  # seconds for an answer to what may be an incomplete request; nothing depends on it
TOKENS = re.compile(rb"q\d{4}")

# Simplon passes these and both others do not, on purpose.
DIFFERENCES = {
    # RFC 9112 §3.2.2: the target's authority, port included, is the new Host. nginx's $host has no
    # port, and haproxy wants the Host that came to be the same already.
    "absolute port",
    # RFC 9112 §5.1: white space before the colon of a response's field is removed.
    "space before colon",
}


@pytest.fixture(scope="module")
def proxies(tmp_path_factory):
    folder = tmp_path_factory.mktemp("differential")
    programs = Programs(folder)
    started = []
    try:
        started = [
            start_simplon(programs),
            start_nginx(programs, folder),
            start_haproxy(programs, folder),
        ]
        yield started
    finally:
        programs.end()
        for proxy in started:
            proxy.origin.close()


@dataclass
class Seen:
    """What became of a case at one proxy."""

    answers: list = field(default_factory=list)  # (status, target that the origin saw or None)
    bodies: list = field(default_factory=list)
    how: str = ""  # FIN, RST, cut, malformed or waiting
    received: list = field(default_factory=list)  # (method, target, host, body) by the origin

    @property
    def from_origin(self):
        return [target for _, target in self.answers if target is not None]


def echo(request, peer):
    """Says what was asked, so that a client can tell whose answer it got."""
    peer.body(request)
    body = b"" if request.method == "HEAD" else request.target.encode("latin-1")
    length = len(request.target)
    head = f"HTTP/1.1 200 OK\r\nX-Target: {request.target}\r\nX-Method: {request.method}\r\n"
    peer.send(f"{head}Content-Length: {length}\r\n\r\n".encode("latin-1") + body)


def read_answers(client, seen):
    """Every response up to the end of the connection."""
    client.socket.settimeout(PATIENCE)
    try:
        while client.unread() or client.more():
            answer = Response(client.head())
            if answer.value("X-Method") != "HEAD":
                client.body(answer)
            if answer.status >= 200:
                seen.answers.append((answer.status, answer.value("X-Target")))
                seen.bodies.append(answer.body)
        seen.how = client.ended
    except Cut:
        seen.how = "cut"
    except (Malformed, AssertionError):
        seen.how = "malformed"
    except TimeoutError:
        seen.how = "waiting"
    except OSError:
        seen.how = "RST"


def send(client, raw):
    try:
        client.send(raw)
    except OSError:
        pass  # refused already: the reading tells


def probe(proxy, token):
    """Another client's request, right behind: of Simplon it gets its own answer."""
    if proxy.name != "Simplon":
        return
    target = f"/probe-{token.decode()}"
    with proxy.connect() as client:
        answer = client.ask(f"GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n".encode())
        assert (answer.status, answer.body) == (200, target.encode()), (token, answer.raw)


def canonical(request):
    host = ",".join(request.values("Host")).lower()
    return request.method, request.target, host, bytes(request.body)


def run_all(proxy, cases, run):
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda case: run(proxy, *case), cases))


def run_request(proxy, token, raw):
    seen = Seen()
    end = b"GET /end-" + token + b" HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"
    with proxy.connect() as client:
        send(client, raw + end)
        read_answers(client, seen)
    probe(proxy, token)
    return seen


def own(request):
    """Not one of the suite's own requests behind the case."""
    return not request.target.startswith(("/end-", "/probe-"))


def recorded(origin):
    """The complete requests by the tokens in them, and those that have more than one."""
    by_token, mixed = {}, []
    for request in origin.requests:
        tokens = set(TOKENS.findall(request.raw + request.body))
        if len(tokens) > 1:
            mixed.append(request.raw + request.body)
        if request.complete and own(request):
            for token in tokens:
                by_token.setdefault(token, []).append(canonical(request))
    return by_token, mixed


def with_tokens(cases):
    for number, (name, raw) in enumerate(cases):
        token = b"q%04d" % number
        yield name, token, raw.replace(TOKEN, token)


def test_no_two_servers_see_other_requests_than_simplon_does(proxies):
    cases = list(with_tokens(requests()))
    assert len(cases) >= 300
    results = {}
    for proxy in proxies:
        proxy.origin.script = may_be_cut(echo)
        seen = run_all(proxy, [(token, raw) for _, token, raw in cases], run_request)
        by_token, mixed = recorded(proxy.origin)
        results[proxy.name] = dict(zip((name for name, _, _ in cases), seen, strict=True))
        for name, token, _ in cases:
            results[proxy.name][name].received = by_token.get(token, [])
        if proxy.name == "Simplon":
            assert not mixed, mixed
            assert not proxy.origin.malformed, proxy.origin.malformed
            proxy.origin.finish()
        else:
            for text in proxy.origin.malformed:
                for token in set(TOKENS.findall(text.encode("latin-1"))):
                    results[proxy.name][cases[int(token[1:])][0]].received.append("malformed")
    problems, classes = judge_requests(results)
    versions = ", ".join(f"{proxy.name} {proxy.version}" for proxy in proxies[1:])
    summary(
        "differential-requests",
        [
            ["raw requests", len(cases)],
            ["oracles", versions],
            *([name, count] for name, count in classes.items()),
            ["origin and answers disagree, mixed clients, leniency", len(problems)],
        ],
    )
    assert not problems, "\n".join(problems)


def judge_requests(results):
    problems = []
    classes = {"forwarded by all": 0, "refused by all": 0, "refused by Simplon only": 0, "others": 0}
    for name, ours in results["Simplon"].items():
        others = [results[other][name] for other in ("nginx", "haproxy")]
        answered = [target for target in ours.from_origin if not target.startswith("/end-")]
        if len(answered) != len(ours.received):
            problems.append(f"{name}: answered {answered}, origin got {ours.received}")
        if ours.how in ("malformed", "cut"):
            problems.append(f"{name}: the answers are {ours.how}: {ours.answers}")
        most = max(len(other.received) for other in others)
        if len(ours.received) > most and name not in DIFFERENCES:
            problems.append(f"{name}: more lenient than both, forwarded {ours.received}")
        elif ours.received and not any(same(ours, other) for other in others):
            wanted = [other.received for other in others]
            if name not in DIFFERENCES:
                problems.append(f"{name}: forwarded {ours.received}, others {wanted}")
        forwarded = [bool(each.received) for each in (ours, *others)]
        if all(forwarded):
            classes["forwarded by all"] += 1
        elif not any(forwarded):
            classes["refused by all"] += 1
        elif not forwarded[0] and all(forwarded[1:]):
            classes["refused by Simplon only"] += 1
        else:
            classes["others"] += 1
    return problems, classes


def same(ours, other):
    return ours.received == other.received


def run_response(proxy, token, case):
    seen = Seen()
    with proxy.connect() as client:
        send(client, b"GET /r-" + token + b" HTTP/1.1\r\nHost: a.test\r\n\r\n")
        client.socket.settimeout(PATIENCE)
        try:
            answer = client.final()
            seen.answers.append((answer.status, answer.value("X-Target")))
            seen.bodies.append(answer.body)
            seen.how = FIN
        except Cut:
            seen.how = "cut"
        except (Malformed, AssertionError):
            seen.how = "malformed"
        except TimeoutError:
            seen.how = "waiting"
        except OSError:
            seen.how = "RST"
        if seen.how == FIN:
            # Nothing of what came behind may be taken for the next answer on this connection.
            target = b"/again-" + token
            send(client, b"GET " + target + b" HTTP/1.1\r\nHost: a.test\r\n\r\n")
            again = Seen()
            read_one(client, again)
            if again.answers and again.answers[0][1] != target.decode():
                seen.how = f"leftover: {again.answers} {again.bodies}"
    probe(proxy, token)
    return seen


def read_one(client, seen):
    try:
        answer = client.final()
        seen.answers.append((answer.status, answer.value("X-Target")))
        seen.bodies.append(answer.body)
    except (Cut, Malformed, AssertionError, OSError):
        pass


def test_no_response_looks_complete_that_is_not(proxies):
    cases = [
        (b"q%04d" % number, case) for number, case in enumerate(responses())
    ]
    assert len(cases) >= 80
    by_token = {token: case for token, case in cases}

    def script(request, peer):
        if not request.target.startswith("/r-"):
            return echo(request, peer)
        peer.body(request)
        case = by_token[request.target.removeprefix("/r-").encode()]
        peer.send(case.raw.replace(TOKEN, request.target[-5:].encode()))
        if case.then != KEEP:
            peer.close()

    results = {}
    for proxy in proxies:
        proxy.origin.script = may_be_cut(script)
        seen = run_all(proxy, cases, run_response)
        results[proxy.name] = dict(zip((case.name for _, case in cases), seen, strict=True))
    problems = []
    for token, case in cases:
        ours = results["Simplon"][case.name]
        body = None if case.body is None else case.body.replace(TOKEN, token)
        delivered = ours.how == FIN and ours.answers[0][0] != 502
        if ours.how not in (FIN, "cut"):
            problems.append(f"{case.name}: {ours}")
        elif delivered and (body is None or ours.bodies[0] != body):
            problems.append(f"{case.name}: delivered as complete: {ours.answers} {ours.bodies}")
        elif body is not None and not delivered:
            problems.append(f"{case.name}: sound, but not delivered: {ours}")
        elif delivered and not any(
            results[other][case.name].how == FIN and results[other][case.name].answers[0][0] < 500
            for other in ("nginx", "haproxy")
        ):
            if case.name not in DIFFERENCES:
                problems.append(f"{case.name}: more lenient than both")
    summary(
        "differential-responses",
        [
            ["raw responses", len(cases)],
            ["ambiguous or cut, and never delivered as complete", sum(c.body is None for _, c in cases)],
            ["problems", len(problems)],
        ],
    )
    assert not problems, "\n".join(problems)
