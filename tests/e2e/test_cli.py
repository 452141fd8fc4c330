"""simplonctl as people and scripts use it: exit codes, help, malformed arguments."""

import json
import re
import signal
import subprocess

import httpx
import pytest

from programs import AGENT, CTL, ctl


def test_without_an_agent_the_exit_code_is_3_and_the_command_that_starts_one_is_shown(tmp_path):
    for command in (["list"], ["status"], ["share", "3000"], ["delete", "x"]):
        ctl("--state-dir", tmp_path, *command).failed(3, "simplon-agent --state-dir")


def test_what_is_not_there_is_exit_4(agent):
    agent.ctl("get", "nothing").failed(4, "nothing")
    agent.ctl("delete", "nothing").failed(4, "nothing")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["share"],
        ["share", "3000", "--label", "novalue"],
        ["access"],
        ["access", "demo", "--listen", "nowhere"],
        ["frontend"],
        ["test", "websocket"],
        ["test", "websocket", "localhost:1", "--timeout", "soon"],
        ["test", "proxy", "--listen", "127.0.0.1:0"],
        ["test", "endpoint"],
        ["-o", "yaml", "list"],
        ["status", "--wait", "a while"],
    ],
)
def test_a_malformed_command_is_exit_2_with_a_short_message(tmp_path, arguments):
    answer = ctl("--state-dir", tmp_path, *arguments)
    assert answer.code == 2, answer.err
    assert 0 < len(answer.err.strip().splitlines()) <= 3, answer.err
    assert answer.out == ""


def test_every_command_has_help(tmp_path):
    seen = []

    def walk(*path):
        answer = ctl(*path, "--help").ok()
        seen.append(" ".join(path))
        inside = False
        for line in answer.out.splitlines():
            inside = line.strip().lower() == "subcommands:" if line and line[0] != " " else inside
            if inside and line.startswith("  ") and line[2] != " ":
                walk(*path, line.split()[0])

    walk()
    assert {"share", "access", "frontend", "hub invite", "identity create", "test proxy"} <= set(seen)


def test_output_is_json_when_asked(agent, endpoint):
    share = agent.json("share", endpoint.url, "--name", "demo")
    assert share["name"] == "demo" and share["status"]["phase"] == "PHASE_ACTIVE"
    assert [tunnel["name"] for tunnel in agent.json("list")["tunnels"]] == ["demo"]
    assert agent.json("version")["agent"] == agent.json("status")["version"]
    json.loads(agent.ctl("-o", "json", "delete", "demo").ok().out)


def test_tables_are_for_people(agent, endpoint):
    agent.share(endpoint.url, "demo")
    lines = agent.ctl("list").ok().out.splitlines()
    assert lines[0].split()[0] == "NAME"
    assert any("demo" in line and "active" in line for line in lines[1:])
    assert "demo" in agent.ctl("get", "demo").ok().out


def test_a_target_has_short_forms(agent):
    for typed, stored in [
        ("3000", "http://localhost:3000"),
        ("localhost:3001", "http://localhost:3001"),
        ("https://example.test", "https://example.test:443"),
    ]:
        made = agent.json("share", typed)
        assert made["share"]["target"] == stored
        assert made["name"]


def test_what_is_no_target_is_exit_2_in_words(agent):
    for typed, words in {
        "99999": "port",
        "ftp://x": "there are http, https, h2c, tcp and unix",
        "http://": "host",
        "localhost": "localhost:3000",
    }.items():
        agent.ctl("share", typed).failed(2, f'share.target: "{typed}" ', words)
    assert agent.tunnels() == []


def test_a_foreground_share_is_gone_after_ctrl_c(programs, agent, endpoint):
    process = programs.program(
        CTL, "--state-dir", agent.state, "share", endpoint.url, "--name", "brief", "--foreground"
    )
    process.wait_line("Ctrl-C")
    assert agent.tunnels() == ["brief"]
    process.signal(signal.SIGINT)
    assert process.wait() == 0
    assert agent.tunnels() == []


def test_the_agent_refuses_malformed_options_in_one_line(tmp_path):
    for arguments in (
        ["--hub-listen", "nowhere"],
        ["--agent-name", "Not A Label"],
        ["--log-level", "loud"],
        ["--config", str(tmp_path / "missing")],
        ["--nonsense"],
    ):
        done = subprocess.run(
            [AGENT, "--state-dir", tmp_path / "state", *arguments],
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode == 2, (arguments, done.stderr)
        assert 0 < len(done.stderr.strip().splitlines()) <= 3, done.stderr
    assert not (tmp_path / "state" / "simplon.db").exists()


def test_flags_beat_the_environment_and_that_beats_the_file(programs, tmp_path):
    config = tmp_path / "agent.conf"
    config.write_text('agent-name = "from-file"\nlog-level = "warn"\n')
    agent = programs.program(
        *(AGENT, "--state-dir", tmp_path / "s", "--config", config),
        *("--hub-listen", "127.0.0.1:0", "--log-level", "debug"),
        env={"SIMPLON_AGENT_NAME": "from-environment"},
    )
    agent.wait_line("ready")
    status = ctl("--state-dir", tmp_path / "s", "-o", "json", "status").json
    assert status["name"] == "from-environment"
    assert status["logLevel"] == "debug"


def test_json_logs_are_one_object_a_line(programs):
    agent = programs.agent("alpha", "--log-format", "json")
    for line in agent.log.splitlines():
        if line.startswith("{"):
            json.loads(line)
    assert any(line.startswith("{") for line in agent.log.splitlines())


def test_one_connection_has_one_id_in_both_agents_logs(pair, endpoint):
    alpha, beta = pair
    for agent in pair:
        agent.ctl("log-level", "debug").ok()
    beta.share(endpoint.url, "demo")
    access = alpha.access("demo")
    httpx.get(f"http://{access}/status/200")
    found = beta.wait_line(r"conn=([0-9a-f]{16})").group(1)
    assert re.search(f"conn={found}", alpha.log)
