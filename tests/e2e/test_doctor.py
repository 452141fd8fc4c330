"""simplonctl doctor: each part of a path, and for each thing that can be broken the part that it names."""

import json

import pytest

from ziti_network import eventually


@pytest.fixture
def pair(standing_pair):
    """A hub's agent, and a member that joined it."""
    return standing_pair


@pytest.fixture
def demo(pair, endpoint):
    """A share of the endpoint at the hub's agent; deleted afterwards."""
    host, _ = pair
    host.ctl("share", endpoint.url, "--name", "doctor-demo", "--public").ok()
    yield host
    host.ctl("delete", "doctor-demo", "--drain", "0s")


def results(run):
    return json.loads(run.out)["results"]


def hops(found):
    return [each["hop"] for each in found]


def test_a_share_passes_every_part_with_a_latency(demo):
    run = demo.ctl("-o", "json", "doctor", "doctor-demo").ok()
    found = results(run)
    assert hops(found) == [
        "target", "target HTTP", "share's engine", "overlay link", "registration", "overlay", "whole path",
    ]
    assert {each["state"] for each in found} == {"STATE_PASSED"} and json.loads(run.out)["passed"]
    timed = {each["hop"] for each in found if int(each.get("latencyMicroseconds", 0)) > 0}
    assert timed == set(hops(found)) - {"overlay link", "registration"}
    text = demo.ctl("doctor", "doctor-demo").ok().out
    assert text.startswith("ok    target") and "HTTP 200" in text and "FAIL" not in text


def test_an_access_and_a_frontend_pass_with_a_websocket_of_their_own(pair, demo):
    _, guest = pair
    access = guest.json("access", "doctor-demo")["name"]
    found = results(guest.ctl("-o", "json", "doctor", access, "--websocket", "--path", "/echo").ok())
    assert hops(found) == ["listener", "overlay link", "far end", "whole path", "websocket"]
    assert "came back" in found[-1]["message"]
    guest.ctl("delete", access, "--drain", "0s").ok()
    front = demo.json("frontend", "--zone", "localhost")["name"]
    found = results(demo.ctl("-o", "json", "doctor", front, "--service", "doctor-demo", "--websocket", "--path", "/echo").ok())
    assert hops(found) == ["listener", "overlay link", "far end", "whole path", "websocket"]
    assert {each["state"] for each in found} == {"STATE_PASSED"}
    demo.ctl("delete", front, "--drain", "0s").ok()


def test_a_dead_target_is_named_from_both_ends_with_advice(pair, programs):
    host, guest = pair
    service = programs.tool("test", "endpoint", "--listen", "127.0.0.1:0")
    host.ctl("share", service.url, "--name", "fragile").ok()
    access = guest.json("access", "fragile")["name"]
    service.end()
    broken = host.ctl("doctor", "fragile").failed(1, "broken at: target", "start the service")
    assert "FAIL  target" in broken.out and broken.out.count("\n") == 2
    far = guest.ctl("doctor", access).failed(1, "broken at: whole path", "simplonctl doctor SHARE")
    assert "hop=target; reason=target_refused" in far.out
    host.ctl("delete", "fragile", "--drain", "0s").ok()
    eventually(lambda: guest.ctl("doctor", access).code == 1, "the share is gone")
    assert "FAIL  far end" in guest.ctl("doctor", access).out
    guest.ctl("delete", access, "--drain", "0s").ok()


def test_an_overlay_passes_and_a_hub_that_is_gone_is_named(programs):
    hub, member = programs.agent("hub"), programs.agent("member", hub="none")
    member.join(hub.invite("member"))
    found = results(member.ctl("-o", "json", "doctor", "default").ok())
    assert hops(found) == ["identity", "hub", "link"]
    assert "valid until" in found[0]["message"] and int(found[1]["latencyMicroseconds"]) > 0
    hub.end()
    found = results(member.ctl("-o", "json", "doctor", "default").failed(1, "hub"))
    assert hops(found) == ["identity", "hub"] and found[-1]["advice"]


def test_what_there_is_not_and_what_makes_no_sense(demo):
    demo.ctl("doctor", "nothing").failed(4, "no tunnel and no overlay", "nothing")
    demo.ctl("doctor", "nothing", "--overlay").failed(4, "nothing")
    demo.ctl("doctor", "doctor-demo", "--path", "/a b\r\nX: y").failed(2, "path")
    demo.ctl("doctor", "doctor-demo", "--path", "a").failed(2, "path")
