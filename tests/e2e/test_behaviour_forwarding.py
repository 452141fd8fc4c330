"""What a target learns of its client and what is changed on request, through real agents.

The session's pair of agents; every test makes the tunnels that it needs, with their options, and
deletes them again.
"""

import re

import pytest

from raw_http import Client, message, reply

GET = "GET / HTTP/1.1"
HOST = "Host: app.test"
DATE = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} 20\d\d \d\d:\d\d:\d\d GMT")


def ask(address, *fields, host=HOST):
    with Client(address) as client:
        return client.ask(message(GET, host, *fields))


def test_45_date_is_added_where_it_is_missing_and_server_is_left_alone(paths):
    paths.share()
    address = paths.access()
    assert DATE.fullmatch(ask(address).value("date"))
    paths.origin.script = reply(
        message("HTTP/1.1 200 OK", "Date: yesterday", "Server: x/1", "Content-Length: 0")
    )
    answer = ask(address)
    assert (answer.value("date"), answer.value("server")) == ("yesterday", "x/1")


def test_45_an_answer_of_the_agents_own_has_a_date(paths):
    paths.share()
    answer = ask(paths.access(), host="Host: a\r\nHost: b")
    assert answer.status == 400
    assert DATE.fullmatch(answer.value("date"))


def test_46_each_hop_appends_to_via(paths):
    paths.share()
    ask(paths.access(), "Via: 1.0 fred, 1.1 p.example")
    request = paths.origin.one()
    members = [part.strip() for value in request.values("via") for part in value.split(",")]
    assert members[:2] == ["1.0 fred", "1.1 p.example"]
    assert len(members) == 4  # access and share, each by its uid
    assert [member.split()[0] for member in members[2:]] == ["1.1", "1.1"]
    assert len({member.split()[1] for member in members[2:]}) == 2


def test_46_via_can_be_left_out(paths):
    paths.share("--no-via")
    ask(paths.access("--no-via"))
    assert paths.origin.one().values("via") == []


def test_46_a_share_that_leads_back_to_its_own_access_is_a_loop(paths):
    """The access listens first, and what is shared is the access."""
    address = paths.access()
    paths.share(target="http://" + address)
    answer = ask(address)
    # To the share that answer is its target's, which may not speak in Simplon's name.
    assert (answer.status, answer.value("simplon-error")) == (508, None)
    assert b"has been here before" in answer.body
    assert paths.origin.requests == []
    listed = paths.alpha.json("get", "made-access")["status"]["counters"]["refused"]
    assert int(listed["508"]) >= 1


def test_46_a_share_may_ask_another_one_through_the_same_frontend_but_not_itself(paths):
    """Two shares whose target is the frontend by which they are reached: one asks for "made"."""
    paths.share("--public")
    address = paths.frontend()
    called = paths.beta.called
    for name, asks in {"relay": "made", "ring": "ring"}.items():
        paths.share(
            "--public", "--host-header", f"{called(asks)}.made.test",
            name=name, target="http://" + address,
        )  # fmt: skip
    assert ask(address, host=f"Host: {called('relay')}.made.test").status == 200
    names = [via.split()[1] for via in paths.origin.one().values("via")]
    front = paths.alpha.tunnel("made-frontend")["uid"]
    assert len(names) == 4  # each share by its uid
    assert names[0::2] == [f"{called('relay')}.{front}", f"{called('made')}.{front}"]
    answer = ask(address, host=f"Host: {called('ring')}.made.test")
    assert answer.status == 508
    assert b"has been here before" in answer.body
    assert len(paths.origin.requests) == 1


SPOOFED = (
    "X-Forwarded-For: 6.6.6.6",
    "X_Forwarded_For: 6.6.6.6",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: evil.test",
    "X-Forwarded-Port: 1",
    "X-Forwarded-Server: evil.test",
    "Forwarded: for=6.6.6.6",
    "X-Real-IP: 6.6.6.6",
)


def forwarding(request):
    return {
        name.lower(): value
        for name, value in request.fields
        if re.match(r"(?i)x[-_]forwarded|forwarded|x[-_]real", name)
    }


def test_47_forwarding_fields_are_true_through_two_hops_and_spoofed_ones_dropped(paths):
    paths.share("--public")
    address = paths.frontend()
    port = address.rsplit(":", 1)[1]
    host = f"{paths.beta.called('made')}.made.test:{port}"
    ask(address, *SPOOFED, host=f"Host: {host}")
    assert forwarding(paths.origin.one()) == {
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-proto": "http",
        "x-forwarded-host": host,
        "x-forwarded-port": port,
        "forwarded": f'for=127.0.0.1;host="{host}";proto=http',
    }


def test_47_a_trusted_proxys_word_is_continued(paths):
    paths.share("--public")
    address = paths.frontend("--trust-proxy", "127.0.0.0/8")
    ask(address, *SPOOFED, host=f"Host: {paths.beta.called('made')}.made.test")
    told = forwarding(paths.origin.one())
    assert told["x-forwarded-for"] == "6.6.6.6, 127.0.0.1"
    assert told["x-forwarded-proto"] == "https"
    assert told["x-forwarded-host"] == "evil.test"
    assert told["forwarded"].startswith("for=6.6.6.6, for=127.0.0.1;")


def test_47_what_a_trusted_proxy_said_in_other_words_is_told_in_all(paths):
    paths.share()
    ask(
        paths.access(),
        "X-Forwarded-For: 6.6.6.6",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: app.test",
    )
    told = forwarding(paths.origin.one())
    assert told["x-forwarded-port"] == "443"
    assert told["forwarded"].startswith(
        'for=6.6.6.6;host="app.test";proto=https, for=127.0.0.1;'
    )


def test_47_an_access_trusts_its_own_host_unless_told_otherwise(paths):
    paths.share()
    ask(paths.access(), *SPOOFED)
    assert forwarding(paths.origin.one())["x-forwarded-for"] == "6.6.6.6, 127.0.0.1"


def test_47_an_access_can_be_told_to_trust_nobody(paths):
    paths.share()
    ask(paths.access("--trust-proxy", "none"), *SPOOFED)
    assert forwarding(paths.origin.one())["x-forwarded-for"] == "127.0.0.1"


def test_47_the_peer_that_opened_the_stream_is_told_and_cannot_be_forged(paths):
    paths.share("--peer-header", "X-Simplon-Peer")
    ask(
        paths.access(),
        "X-Simplon-Peer: root",
        "x_simplon_peer: root",
        "Connection: X-Simplon-Peer",
    )
    request = paths.origin.one()
    assert [v for n, v in request.fields if "peer" in n.lower()] == [paths.alpha.name]


def test_48_host_is_kept_by_default(paths):
    paths.share()
    ask(paths.access(), "Origin: http://app.test")
    request = paths.origin.one()
    assert (request.value("host"), request.value("origin")) == ("app.test", "http://app.test")


def test_48_host_is_rewritten_and_references_only_where_asked(paths):
    paths.origin.script = reply(
        message("HTTP/1.1 302 Found", "Location: http://inner.test/x", "Content-Length: 0")
    )
    paths.share("--host-header", "inner.test")
    answer = ask(paths.access(), "Origin: http://app.test")
    request = paths.origin.one()
    assert (request.value("host"), request.value("origin")) == ("inner.test", "http://app.test")
    assert answer.value("location") == "http://inner.test/x"


def test_48_references_follow_the_host_where_asked(paths):
    paths.origin.script = reply(
        message(
            "HTTP/1.1 302 Found",
            "Location: http://inner.test/x?y",
            "Set-Cookie: a=b; Domain=inner.test; Path=/",
            "Content-Length: 0",
        )
    )
    paths.share("--host-header", "inner.test", "--rewrite-references")
    answer = ask(paths.access(), "Origin: http://app.test", "Referer: http://app.test/from")
    request = paths.origin.one()
    assert request.value("host") == "inner.test"
    assert request.value("origin") == "http://inner.test"
    assert request.value("referer") == "http://inner.test/from"
    assert answer.value("location") == "http://app.test/x?y"
    assert answer.value("set-cookie") == "a=b; Domain=app.test; Path=/"


def test_48_references_follow_the_scheme_of_either_side(paths):
    paths.origin.script = reply(
        message("HTTP/1.1 302 Found", "Location: http://inner.test/", "Content-Length: 0")
    )
    paths.share("--host-header", "inner.test", "--rewrite-references")
    answer = ask(paths.access(), "X-Forwarded-Proto: https", "Origin: https://app.test")
    assert paths.origin.one().value("origin") == "http://inner.test"
    assert answer.value("location") == "https://app.test/"


def test_48_headers_are_changed_by_rules(paths):
    paths.origin.script = reply(
        message("HTTP/1.1 200 OK", "X-Powered-By: x", "Content-Length: 0")
    )
    paths.share(
        *("--request-header", "X-Key: ours"),
        *("--request-header", "+X-More: 1"),
        *("--request-header", "-X-Gone"),
        *("--response-header", "Strict-Transport-Security: max-age=1"),
        *("--response-header", "-X-Powered-By"),
    )
    answer = ask(paths.access(), "X-Key: theirs", "X-More: 0", "X-Gone: 1")
    request = paths.origin.one()
    assert request.values("x-key") == ["ours"]
    assert request.values("x-more") == ["0", "1"]
    assert request.values("x-gone") == []
    assert answer.value("strict-transport-security") == "max-age=1"
    assert answer.values("x-powered-by") == []


def test_48_what_frames_or_routes_cannot_be_changed_by_a_rule(standing_pair):
    _, beta = standing_pair
    for rule in ("Content-Length: 5", "-Host", "Transfer-Encoding: chunked", "Via: x"):
        beta.ctl("share", "3000", "--name", "none", "--request-header", rule).failed(
            2, "cannot be changed"
        )
    assert "none" not in beta.tunnels()
