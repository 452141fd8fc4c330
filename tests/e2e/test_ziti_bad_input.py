"""Controllers and routers of OpenZiti that are wrong, of other versions, or hostile: on stand-ins."""

import base64
import json
import time
from pathlib import Path

import pytest

from programs import CTL, ctl
from ziti_echo import Echo, connect, echoes_again
from ziti_ends import Agents
from ziti_network import StandIn, eventually


@pytest.fixture
def net(standin):
    return standin()


@pytest.fixture
def lone(programs):
    return programs.agent("lone", hub="none")


def changed(identity, **values):
    """Another file of the identity, with other controllers, certificate or CA."""
    document = json.loads(identity.path.read_text(encoding="utf-8"))
    for key, value in values.items():
        if key == "ztAPIs":
            document |= {"ztAPIs": value, "ztAPI": value[0]}
        else:
            document["id"][key] = value
    path = identity.path.with_name(f"changed-{len(values)}-{identity.path.name}")
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def says(agent, *words, name="prod"):
    """Waits until the overlay's last error has the words."""

    def there():
        answer = agent.ctl("-o", "json", "overlay", "get", name)
        error = answer.json.get("lastError", "") if answer.code == 0 else ""
        return all(word in error for word in words)

    eventually(there, f"the overlay's error has {words}")


def is_up(agent, name="prod"):
    eventually(lambda: agent.json("overlay", "get", name)["state"] == "LINK_STATE_UP", "the overlay is up")


# Enrollment ------------------------------------------------------------------------------------


def claims_changed(jwt, **claims):
    head, body, signature = jwt.split(".")
    values = json.loads(base64.urlsafe_b64decode(body + "==")) | claims
    body = base64.urlsafe_b64encode(json.dumps(values).encode()).rstrip(b"=").decode()
    return f"{head}.{body}.{signature}"


def enroll(agent, folder, text):
    path = folder / "token.jwt"
    path.write_text(text, encoding="ascii")
    return agent.ctl("overlay", "add", "prod", "--enroll", path)


def test_a_token_that_nobody_signed_is_refused(net, lone, tmp_path):
    jwt = net.token()[0].read_text(encoding="ascii")
    forged = claims_changed(jwt, sub="somebody-else")
    answer = enroll(lone, tmp_path, forged)
    answer.failed(answer.code, "forged")
    assert answer.code
    enroll(lone, tmp_path, jwt).ok()


def test_an_expired_token_is_refused_before_anything_is_asked(net, lone, tmp_path):
    net.fault("enrollment_seconds", seconds=-60)
    answer = enroll(lone, tmp_path, net.token()[0].read_text(encoding="ascii"))
    answer.failed(answer.code, "expired")
    assert answer.code


@pytest.mark.parametrize("text", ("", "nonsense", "a.b.c", "e30.e30.", "." * 5000, "x" * 100_000))
def test_what_is_no_token_is_refused(lone, tmp_path, text):
    assert enroll(lone, tmp_path, text).code != 0
    lone.ctl("status").ok()


@pytest.mark.parametrize("algorithm", ("ES256", "ES384", "ES512"))
def test_tokens_of_every_algorithm_are_taken(standin, lone, tmp_path, algorithm):
    net = standin("--algorithm", algorithm)
    enroll(lone, tmp_path, net.token()[0].read_text(encoding="ascii")).ok()
    is_up(lone)


# Controllers -----------------------------------------------------------------------------------


@pytest.fixture
def refuses(programs):
    """Adds an overlay that does not come up, and checks what is said about it before `add` gives up."""
    agent = programs.agent("lone", hub="none")

    def add(path, *words):
        command = (CTL, "--state-dir", agent.state, "overlay", "add", "prod", "--identity", path)
        adding = programs.program(*command, title="overlay add")
        says(agent, *words)
        adding.end()

    return add


def test_a_controller_of_another_authority_is_refused(net, standin, refuses):
    refuses(changed(net.identity(), ca=pem(standin())), "certificate not accepted", "another network")


def pem(network):
    return "pem:" + Path(network.ca).read_text(encoding="ascii")


def test_an_identity_of_another_network_is_refused(net, standin, refuses):
    other = standin()
    net.fault("trust_also", pem=pem(other).removeprefix("pem:"))
    path = changed(other.identity(), ztAPIs=[net.url + "/edge/client/v1"], ca=pem(net))
    refuses(path, "does not accept this identity")


def test_a_clock_that_is_off_is_named(net, refuses):
    identity = net.identity()
    net.fault("skew", seconds=7200)
    refuses(identity.path, "not yet valid", "clock")


def test_a_leaf_without_its_intermediates_still_logs_in(net, lone):
    identity = net.identity()
    chain = json.loads(identity.path.read_text(encoding="utf-8"))["id"]["cert"]
    end = "-----END CERTIFICATE-----"
    lone.ctl("overlay", "add", "prod", "--identity", changed(identity, cert=chain.split(end)[0] + end + "\n")).ok()
    is_up(lone)


@pytest.mark.parametrize(
    ("rule", "words"),
    (
        ({"html": True}, ("not JSON",)),
        ({"status": 500}, ("500",)),
        ({"status": 429}, ("fewer requests",)),
        ({"body": "[" * 5000}, ("not JSON",)),
        ({"body": '{"data": {"token": 5}}'}, ("no token",)),
        ({"fill": 6_000_000}, ("larger than",)),
        ({"cut": True}, ("no answer",)),
    ),
)
def test_a_controller_that_answers_nonsense_is_borne_until_it_is_well(well, rule, words):
    agent, net = well
    net.fault("answer", path="/(version|authenticate|current-api-session)", count=1000, **rule)
    net.fault("expire_api_sessions")
    says(agent, *words)
    net.fault("clear")
    is_up(agent)


@pytest.fixture
def well(net, lone):
    """An agent that is a member of a network which has nothing wrong yet, and the network."""
    agent, identity = lone, net.identity()
    agent.ctl("overlay", "add", "prod", "--identity", identity.path).ok()
    # What hosts has a channel, and so learns at once that its login is over.
    service = net.service([identity])
    agent.share("http://127.0.0.1:9", "s", "--overlay", "prod", "--service", service.name)
    service.hosted()
    return agent, net


# Other versions --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def echo():
    server = Echo()
    yield server
    server.close()


def shared(programs, network, echo, places=1):
    """Shares an echo server on the network and tries it: the access's address, the agents, the service."""
    agents = Agents(programs, network)
    service = network.service([agents.host], [agents.client])
    agents.share(service, f"tcp://{echo.address}")
    address = agents.access(service, "--tcp")
    service.hosted(places)
    echoes_again(address, "the path works")
    return address, agents, service


@pytest.fixture
def works(programs, echo):
    return lambda network, places=1: shared(programs, network, echo, places)


@pytest.mark.parametrize(
    ("arguments", "session", "places"),
    (
        (("--like", "1.6"), "legacy", 1),
        (("--like", "2.0"), "legacy", 1),
        (("--like", "3.0"), "oidc", 1),
        (("--like", "2.0", "--routers", "3"), "legacy", 3),
    ),
)
def test_every_kind_of_network_works(standin, works, arguments, session, places):
    _, agents, _ = works(standin(*arguments), places)
    assert agents.alpha.json("overlay", "get", "ziti")["ziti"]["session"] == session


def test_of_two_controllers_one_is_enough(standin, works):
    net = standin("--controllers", "2")
    both = [f"{url}/edge/client/v1" for url in net.controllers]
    made = net.identity

    def identity(what="identity"):
        one = made(what)
        one.path = changed(one, ztAPIs=["https://127.0.0.1:1/edge/client/v1", *both])
        return one

    net.identity = identity
    _, agents, _ = works(net)
    assert agents.alpha.json("overlay", "get", "ziti")["ziti"]["session"] == "oidc"


def test_a_bearer_token_is_renewed_on_open_channels(standin, works):
    net = standin("--like", "3.0")
    net.fault("bearer_seconds", seconds=4)
    address, _, _ = works(net)
    with connect(address, 30) as client:
        until = time.monotonic() + 9
        while time.monotonic() < until:
            client.sendall(b"x" * 1000)
            got = 0
            while got < 1000:
                piece = client.recv(1000)
                assert piece, "the connection lives on while its bearer token is renewed"
                got += len(piece)


# Routers ---------------------------------------------------------------------------------------

HEAD = "0306090c"
FRAMES = {
    "no frame": "47455420",
    "another version": "0306090a0200000001000000",
    "headers of 4 GiB": HEAD + "00000000" + "01000000" + "ffffffff" + "00000000",
    "a body of 4 GiB": HEAD + "72ed0000" + "01000000" + "00000000" + "ffffffff",
    "a header beyond the headers": HEAD + "72ed0000" + "01000000" + "08000000" + "00000000" + "e803000000ffff00",
    "data for nobody": HEAD + "72ed0000" + "01000000" + "0c000000" + "02000000" + "e80300000400000099000000" + "6869",
    "a dial for nobody": HEAD + "73ed0000" + "01000000" + "0c000000" + "00000000" + "e80300000400000099000000",
    "a success for nobody": HEAD + "80ed0000" + "01000000" + "0c000000" + "00000000" + "e80300000400000099000000",
    "a reply to nothing": HEAD + "70ed0000" + "01000000" + "0c000000" + "00000000" + "010000000400000077000000",
}


@pytest.fixture(scope="module")
def hostile(standing, tmp_path_factory, echo):
    """A network whose router is about to misbehave, and a path through it."""
    net = StandIn(tmp_path_factory.mktemp("hostile"), standing)
    return net, *shared(standing, net, echo)


@pytest.mark.parametrize("frame", FRAMES)
def test_a_router_may_send_anything(hostile, frame):
    net, address, agents, service = hostile
    echoes_again(address, "the path works")
    with connect(address, 30) as client:
        client.sendall(b"ping")
        assert client.recv(4) == b"ping"
        net.fault("send", hex=FRAMES[frame])
        echoes_again(address, "the path works again")
    service.hosted()
    agents.alpha.ctl("status").ok()


def test_a_router_that_says_nothing_times_out(net):
    host, client = net.identity("host"), net.identity("client")
    service = net.service([host], [client])
    net.fault("mute_routers")
    began = time.monotonic()
    answer = ctl("test", "websocket", "--identity", client.path, "--service", service.name, "--timeout", "8s")
    assert answer.code != 0
    assert time.monotonic() - began < 30


def test_a_network_without_routers_says_so(net):
    client = net.identity("client")
    service = net.service([], [client])
    net.fault("no_routers")
    answer = ctl("test", "websocket", "--identity", client.path, "--service", service.name)
    answer.failed(answer.code, "edge router")
    assert answer.code
