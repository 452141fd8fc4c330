"""What was acknowledged is there after kill -9; one agent at a time; a busy port is one tunnel's."""

import socket

import httpx

from programs import ANSWER, ctl


def test_200_tunnels_are_back_after_kill_9(programs, endpoint):
    agent = programs.agent("alpha")
    wanted = []
    for index in range(100):
        agent.ctl("share", endpoint.url, "--name", f"s{index}", "--public").ok()
        agent.ctl("access", f"s{index}").ok()
        wanted += [f"s{index}", f"s{index}-access"]
    ports = {name: agent.tunnel(name)["access"]["listen"] for name in ("s0-access", "s99-access")}
    agent.kill()
    again = programs.agent("alpha", state=agent.state)
    assert sorted(again.tunnels()) == sorted(wanted)
    again.ctl("status", "--wait", "20s").ok()
    for name, listen in ports.items():
        assert again.tunnel(name)["access"]["listen"] == listen
        assert httpx.get(f"http://{listen}/status/200", timeout=ANSWER).status_code == 200


def test_a_deleted_tunnel_stays_deleted(programs, endpoint):
    agent = programs.agent("alpha")
    agent.share(endpoint.url, "one")
    agent.share(endpoint.url, "two")
    agent.ctl("delete", "one").ok()
    agent.kill()
    assert programs.agent("alpha", state=agent.state).tunnels() == ["two"]


def test_a_membership_is_back_after_kill_9(programs, pair, endpoint):
    alpha, beta = pair
    beta.share(endpoint.url, "demo")
    access = alpha.access("demo")
    beta.kill()
    alpha.kill()
    alpha = programs.agent("alpha", state=alpha.state)
    beta = programs.agent("beta", state=beta.state, hub="none")
    for agent in (alpha, beta):
        agent.ctl("status", "--wait", "20s").ok()
    assert httpx.get(f"http://{access}/status/200", timeout=ANSWER).status_code == 200


def test_a_second_agent_on_one_state_folder_names_the_first(programs, agent):
    second = programs.starting_agent("second", state=agent.state)
    assert second.wait() == 1
    assert str(agent.pid) in second.log
    assert str(agent.state) in second.log
    agent.ctl("status").ok()


def test_a_busy_port_fails_that_tunnel_and_not_the_agent(programs, endpoint):
    agent = programs.agent("alpha")
    agent.share(endpoint.url, "demo")
    access = agent.access("demo")
    agent.end()
    with socket.create_server(("127.0.0.1", int(access.rsplit(":", 1)[1]))):
        again = programs.agent("alpha", state=agent.state)
        tunnel = again.tunnel("demo-access")
        assert tunnel["status"]["phase"] == "PHASE_FAILED"
        assert access in tunnel["status"]["message"]
        again.ctl("list").ok()
        other = again.access("demo", "--name", "other")
        assert httpx.get(f"http://{other}/status/200").status_code == 200


def test_a_busy_port_refuses_a_create_and_changes_nothing(agent):
    with socket.create_server(("127.0.0.1", 0)) as busy:
        address = f"127.0.0.1:{busy.getsockname()[1]}"
        agent.ctl("access", "demo", "--listen", address).failed(1, address)
    assert agent.tunnels() == []


def test_the_default_hub_port_is_replaced_when_busy_and_the_new_one_kept(programs):
    first = programs.agent("one", hub=None)
    second = programs.agent("two", hub=None)
    address = second.hub_address()
    assert address != first.hub_address()
    second.kill()
    assert programs.agent("two", state=second.state, hub=None).hub_address() == address


def test_sigterm_lets_a_running_request_finish_and_takes_no_new_one(programs, endpoint):
    agent = programs.agent("alpha")
    agent.share(endpoint.url, "demo")
    host, port = agent.access("demo").rsplit(":", 1)
    with socket.create_connection((host, port), timeout=ANSWER) as client:
        client.sendall(b"GET /slow?ms=1500 HTTP/1.1\r\nHost: demo\r\n\r\n")
        # The endpoint says when a request arrived, so that the signal comes in its middle.
        endpoint.wait_line(r"/slow")
        agent.process.terminate()
        agent.wait_line(r"drain")
        answer = client.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200"), answer
    assert agent.wait() == 0
    assert not agent.socket.exists()
    ctl("--state-dir", agent.state, "status").failed(3, "simplon-agent")
