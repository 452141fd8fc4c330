"""The same bytes through Simplon, nginx and haproxy, to a recording origin behind each.

What must hold of Simplon, on the embedded overlay and on OpenZiti: the origin sees as many requests as were answered from it; no message has
a byte of another client's; nothing that is cut or ambiguous looks complete; nothing passes that both
others refuse, but for what DIFFERENCES says. The corpus is tests/differential.
"""

import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "differential"))

from conformance import summary  # noqa: E402
from observation import TOKENS, Seen, echo, recorded  # noqa: E402
from overlays import embedded_pair, ziti_pair  # noqa: E402
from programs import ANSWER, Programs  # noqa: E402
from proxies import haproxy_proxy, nginx_proxy, simplon_proxy  # noqa: E402
from raw_http import FIN, RST, may_be_cut, play  # noqa: E402
from request_corpus import TOKEN, requests  # noqa: E402
from response_corpus import KEEP, LATE, LEFTOVER, responses  # noqa: E402

AT_ONCE = 16
ORACLES = ("nginx", "haproxy")
OURS = ("Simplon", "Simplon on OpenZiti")

# Simplon passes these and both others do not, on purpose: the case, and why.
DIFFERENCES = {
    "requests": {
        "absolute port": "RFC 9112 §3.2.2: the target's authority, port included, is the new Host; "
        "nginx's $host has no port, and haproxy wants the Host that came to be the same already",
    },
    "responses": {
        "space before colon": "RFC 9112 §5.1: a proxy removes it from a response's field",
    },
}


@pytest.fixture(scope="module")
def proxies(tmp_path_factory, ziti):
    folder = tmp_path_factory.mktemp("differential")
    programs = Programs(folder)
    started = []
    try:
        started.append(simplon_proxy("Simplon", embedded_pair(programs)))
        started.append(nginx_proxy(programs, folder))
        started.append(haproxy_proxy(programs, folder))
        started.append(simplon_proxy("Simplon on OpenZiti", ziti_pair(programs, ziti)))
        yield started
    finally:
        programs.end()
        for proxy in started:
            proxy.origin.close()


def send(client, *pieces):
    try:
        client.send(*pieces)
    except OSError:
        pass  # refused already: the reading tells


def no_more_from(client):
    """Ends the client's direction: what is incomplete stays so, and nobody waits for the rest."""
    try:
        client.half_close()
    except OSError:
        pass


def probe(proxy, token):
    """Another client's request, right behind: of Simplon it gets its own answer."""
    if proxy.name not in OURS:
        return
    target = f"/probe-{token.decode()}"
    with proxy.connect() as client:
        answer = client.ask(f"GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n".encode())
        assert (answer.status, answer.body) == (200, target.encode()), (token, answer.raw)


def run_all(proxy, cases, run):
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda case: run(proxy, *case), cases))


# Requests


def end_of(token):
    return b"GET /end-" + token + b" HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"


def run_request(proxy, token, raw):
    """The case, and a request of the same client in the same segment."""
    seen = Seen()
    with proxy.connect() as client, seen.reading(client):
        send(client, raw + end_of(token))
        no_more_from(client)
        seen.read_answers(client)
    probe(proxy, token)
    return seen


def run_request_in_pieces(proxy, token, raw, whole):
    """Cut before and behind each CR, and the client's next request only once the case is answered:
    wherever the last byte of the case ended, nothing behind it has come yet."""
    seen = Seen()
    pieces = [piece for piece in re.split(rb"(\r)", raw) if piece]
    with proxy.connect() as client, seen.reading(client):
        send(client, *pieces)
        last = whole.requests[-1] if whole.requests else None
        if last and (last.method, last.target) == ("GET", f"/end-{token.decode()}"):
            seen.read_answers(client, len(whole.answers) - 1)
        send(client, end_of(token))
        no_more_from(client)
        seen.read_answers(client)
    probe(proxy, token)
    return seen


def with_tokens(cases):
    for number, (name, raw) in enumerate(cases):
        token = b"q%04d" % number
        yield name, token, raw.replace(TOKEN, token)


CASES = list(with_tokens(requests()))


def observe(proxy, run, *more):
    """What became of each case, by its name. Of Simplon's origin nothing may be unaccounted for."""
    proxy.origin.requests = []
    proxy.origin.malformed = []
    proxy.origin.script = may_be_cut(echo)
    seen = run_all(proxy, [(token, raw, *(m[name] for m in more)) for name, token, raw in CASES], run)
    by_token, strangers = recorded(proxy.origin)
    results = {}
    for (name, token, _), each in zip(CASES, seen, strict=True):
        each.requests = by_token.get(token, [])
        results[name] = each
    if proxy.name in OURS:
        assert not strangers, strangers
        assert not proxy.origin.malformed, proxy.origin.malformed
        proxy.origin.finish()
    for text in proxy.origin.malformed:
        for token in set(TOKENS.findall(text.encode("latin-1"))):
            results[CASES[int(token[1:])][0]].requests.append("malformed")
    return results


@pytest.fixture(scope="module")
def whole(proxies):
    """What became of the requests, by proxy and case."""
    return {proxy.name: observe(proxy, run_request) for proxy in proxies}


def test_no_two_servers_see_other_requests_than_simplon_does(proxies, whole):
    assert len(CASES) >= 300
    wrong, leniency, classes = [], {}, new_classes()
    otherwise = same_requests(whole["Simplon"], whole["Simplon on OpenZiti"])
    for name, ours in whole["Simplon"].items():
        others = [whole[other][name] for other in ORACLES]
        wrong += unaccounted(name, ours)
        leniency[name] = list(lenient(name, ours, others))
        classes[class_of(bool(each.received) for each in (ours, *others))] += 1
    unexplained, explained = judge(leniency, "requests")
    summary(
        "differential-requests",
        [
            ["raw requests", len(CASES)],
            ["oracles", versions(proxies)],
            *([name, count] for name, count in classes.items()),
            ["origin and answers disagree, or clients are mixed", len(wrong)],
            ["otherwise on OpenZiti than on the embedded overlay", len(otherwise)],
            *explained,
        ],
    )
    wrong += otherwise + unexplained
    assert not wrong, "\n".join(wrong)


def test_requests_in_pieces_become_what_they_become_as_a_whole(proxies, whole):
    ours = whole["Simplon"]
    pieces = observe(proxies[0], run_request_in_pieces, ours)
    problems = same_requests(ours, pieces)
    assert not problems, "\n".join(problems)


def test_the_rules_are_not_empty_words(whole):
    """Each oracle lets pass something that the other and Simplon refuse, and the rules tell."""
    for oracle, other in (ORACLES, ORACLES[::-1]):
        judged = [
            problem
            for name, seen in whole[oracle].items()
            for problem in lenient(name, seen, [whole["Simplon"][name], whole[other][name]])
        ]
        assert judged, oracle


def same_requests(first, second):
    """What became of the cases both times: of each that all is accounted for, and the same."""
    problems = []
    for name, seen in second.items():
        problems += unaccounted(name, seen)
        # A refusal may meet a client that has not sent everything: then only that it came counts.
        if seen.requests != first[name].requests:
            problems.append(f"{name}: {seen.requests}, but else {first[name].requests}")
        if seen.how != "RST" and seen.answers != first[name].answers:
            problems.append(f"{name}: {seen.answers}, but else {first[name].answers}")
    return problems


def unaccounted(name, ours):
    """Every request that the origin saw was answered, in its order, and nothing else was."""
    targets = [request.target for request in ours.requests]
    if ours.from_origin != targets:
        yield f"{name}: answered {ours.from_origin}, origin got {targets}"
    if ours.how not in (FIN, RST):
        yield f"{name}: the answers are {ours.how}: {ours.answers}"


def lenient(name, ours, others):
    """What Simplon passed and neither of the others did."""
    if len(ours.received) > max(len(other.received) for other in others):
        yield f"{name}: more lenient than both, forwarded {ours.received}"
        return
    if not ours.received:
        return
    if all(other.received != ours.received for other in others):
        yield f"{name}: forwarded {ours.received}, others {[other.received for other in others]}"
        return
    allowed = set()
    for other in others:
        allowed.update(*(each.fields for each in other.received if each != "malformed"))
    passed = set().union(*(each.fields for each in ours.received))
    if passed - allowed:
        yield f"{name}: fields that neither of the others passes: {sorted(passed - allowed)}"


def judge(leniency, side):
    """Of what was found of each case: what nobody explains, and the rows of the table. An explanation
    of what is not there is a problem, too: whoever reads the table would believe it."""
    explained = DIFFERENCES[side]
    unexplained = [each for name, found in leniency.items() if name not in explained for each in found]
    count = len(unexplained)
    unexplained += [f"{name}: no more lenient than both" for name in explained if not leniency.get(name)]
    return unexplained, [
        ["more lenient than both", f"{count} unexplained, {len(explained)} explained"],
        *([f"more lenient, explained: {name}", why] for name, why in explained.items()),
    ]


def versions(proxies):
    return ", ".join(f"{proxy.name} {proxy.version}" for proxy in proxies if proxy.name in ORACLES)


def new_classes():
    names = ("forwarded by all", "refused by all", "refused by Simplon only", "others")
    return dict.fromkeys(names, 0)


def class_of(forwarded):
    ours, *others = forwarded
    if all(others) and ours:
        return "forwarded by all"
    if not any(others) and not ours:
        return "refused by all"
    return "refused by Simplon only" if all(others) and not ours else "others"


# Responses


def run_response(proxy, token, case, between):
    """The case as an answer, then another request on the same connection, and one of another
    client: neither may get what came behind the case."""
    seen = Seen()
    with proxy.connect() as client:
        target = b"/r-" + token
        send(client, b"%b %b HTTP/%b\r\nHost: a.test\r\n\r\n" % (case.method, target, case.version))
        with seen.reading(client):
            seen.note(client.final(case.method.decode()))
            seen.how = FIN
        if case.then == LATE:
            between[0].set()
            assert between[1].wait(ANSWER) or seen.how != FIN
        if seen.how == FIN:
            target = b"/again-" + token
            send(client, b"GET " + target + b" HTTP/1.1\r\nHost: a.test\r\n\r\n")
            again = Seen()
            with again.reading(client):
                again.note(client.final())
            if again.answers and again.answers[0][1] != target.decode():
                seen.how = f"leftover: {again.answers} {again.bodies}"
    probe(proxy, token)
    return seen


def test_no_response_looks_complete_that_is_not(proxies):
    cases = {b"q%04d" % number: case for number, case in enumerate(responses())}
    assert len(cases) >= 80
    results = {proxy.name: answer_with(proxy, cases) for proxy in proxies}
    for proxy in proxies:
        assert proxy.name not in OURS or not proxy.origin.malformed, proxy.origin.malformed
    wrong, leniency, otherwise, classes = [], {}, [], new_classes()
    for token, case in cases.items():
        ours = results["Simplon"][token]
        on_openziti = results["Simplon on OpenZiti"][token]
        wrong += wrongly_delivered(case, token, on_openziti)
        if whole_answer(on_openziti) != whole_answer(ours):
            otherwise.append(f"{case.name}: on OpenZiti {on_openziti}, else {ours}")
        others = [delivered(results[other][token]) for other in ORACLES]
        wrong += wrongly_delivered(case, token, ours)
        lenient_here = delivered(ours) and not any(others)
        leniency[case.name] = [f"{case.name}: more lenient than both"] if lenient_here else []
        classes[class_of((delivered(ours), *others))] += 1
    unexplained, explained = judge(leniency, "responses")
    summary(
        "differential-responses",
        [
            ["raw responses", len(cases)],
            ["oracles", versions(proxies)],
            *([name.replace("forwarded", "delivered"), count] for name, count in classes.items()),
            [
                "ambiguous or cut, and never delivered as complete",
                sum(case.body is None for case in cases.values()),
            ],
            ["cut or mixed up, or sound and not delivered", len(wrong)],
            ["otherwise on OpenZiti than on the embedded overlay", len(otherwise)],
            *explained,
        ],
    )
    wrong += otherwise + unexplained
    assert not wrong, "\n".join(wrong)


def answer_with(proxy, cases):
    between = {token: (threading.Event(), threading.Event()) for token in cases}

    def script(request, peer):
        if not request.target.startswith("/r-"):
            return echo(request, peer)
        peer.body(request)
        token = request.target.removeprefix("/r-").encode()
        case, (answered, went_on) = cases[token], between[token]
        peer.send(case.raw.replace(TOKEN, token))
        if case.then == LATE:
            try:
                play(request, peer, answered, LEFTOVER)
            finally:
                went_on.set()
        elif case.then != KEEP:
            play(request, peer, case.then)

    proxy.origin.malformed = []
    proxy.origin.script = may_be_cut(script)
    late = [token for token, case in cases.items() if case.then == LATE]
    others = [token for token in cases if token not in late]
    work = [(token, cases[token], between[token]) for token in others]
    seen = dict(zip(others, run_all(proxy, work, run_response), strict=True))
    # One by one: nobody can tell what comes late from the answer to a request that is there by then.
    return seen | {token: run_response(proxy, token, cases[token], between[token]) for token in late}


def delivered(seen):
    """As complete, and not the proxy's own refusal."""
    return seen.how == FIN and seen.answers[0][0] < 500


def whole_answer(seen):
    """What was delivered as complete. How far something else came is a matter of moments."""
    return (seen.answers, seen.bodies) if delivered(seen) else None


def wrongly_delivered(case, token, ours):
    body = None if case.body is None else case.body.replace(TOKEN, token)
    if ours.how not in (FIN, "cut"):
        yield f"{case.name}: {ours}"
    elif delivered(ours) and (body is None or ours.bodies[0] != body):
        yield f"{case.name}: delivered as complete: {ours.answers} {ours.bodies}"
    elif body is not None and not delivered(ours):
        yield f"{case.name}: sound, but not delivered: {ours}"
