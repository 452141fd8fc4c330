#!/usr/bin/env python3
"""HTTP over an OpenZiti network: Simplon's access + share beside plain Go reverse proxies on the official SDK.

    SIMPLON_ZITI_…=… SIMPLON_BUILD_DIR=build/release build/venv/bin/python tests/bench/ziti/bench.py \
        --goproxy FILE [--rounds N] [--seconds N] [--plain] [--pid NAME=PID …] [--json FILE]

README.md beside this file tells how to run it. The contenders take turns, with the same origin, router
and controller: only ratios of one run mean something.
"""

import argparse
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "e2e"))

from programs import Programs  # noqa: E402
from ziti_network import Network, eventually  # noqa: E402 (before what needs its path)
from ziti_ends import Agents  # noqa: E402

CONTENDERS = ("simplon", "go", "go-flow-control")
MEASURES = {  # wrk's connections, and the file asked for
    "requests": (64, "small"),
    "bulk-1": (1, "large"),
    "bulk-4": (4, "large"),
}
BAR = 2.0
SMALL, LARGE = 1024, 64 * 1024 * 1024
SIZES = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}
NGINX = """daemon off; master_process off; error_log stderr error; pid {folder}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; keepalive_timeout 600;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{ listen 127.0.0.1:{port}; root {folder}/www; }}
}}
"""


def origin(programs, folder):
    """nginx with one worker and two files; host:port."""
    (folder / "www").mkdir()
    (folder / "www/small").write_bytes(b"x" * SMALL)
    (folder / "www/large").write_bytes(os.urandom(LARGE))
    port = free_port()
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
    server = programs.program("nginx", "-p", folder, "-c", folder / "nginx.conf", title="nginx")
    address = f"127.0.0.1:{port}"
    eventually(lambda: fetches(address), "nginx answers")
    return address, server.pid


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def fetches(address):
    done = subprocess.run(["curl", "-sf", "-m", "5", "-o", "/dev/null", f"http://{address}/small"], check=False)
    return done.returncode == 0


class Bench:
    """The network's parts that all contenders use, and the contender that is up."""

    def __init__(self, network, folder, arguments):
        self.network, self.folder, self.arguments = network, folder, arguments
        self.origin = Programs(folder)
        self.target, nginx = origin(self.origin, folder)
        self.watched = {"origin": nginx} | dict(arguments.pid)
        self.ends = {name: [network.identity(f"{name}-{end}") for end in ("host", "client")]
                     for name in arguments.contenders if name != "simplon"}
        self.programs = self.address = self.processes = None
        self.proxies = []

    def up(self, name):
        """Alone: an idle Go peer asks the controller for sessions, too."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        self.programs = Programs(folder)
        self.address, self.processes = self.target, self.watched
        if name != "direct":
            self.address, hands = (self.simplon if name == "simplon" else self.go)(name)
            self.processes = hands | self.watched
        eventually(lambda: fetches(self.address), f"{name} carries requests")

    def down(self):
        while self.proxies:
            self.proxies.pop().kill()
        if self.programs:
            self.programs.end()
            self.programs = None

    def service(self, host, dialer):
        return self.network.service([host], [dialer], encrypted=not self.arguments.plain)

    def simplon(self, _):
        agents = Agents(self.programs, self.network)
        service = self.service(agents.host, agents.client)
        agents.share(service, f"http://{self.target}")
        service.hosted()
        return agents.access(service), {"dial": agents.alpha.pid, "host": agents.beta.pid}

    def go(self, name):
        host, client = self.ends[name]
        service = self.service(host, client)
        more = ["-flow-control"] if name.endswith("flow-control") else []
        command = [self.arguments.goproxy, "host", "-identity", host.path, "-service", service.name, *more]
        hosting = self.hosting(*command, "-target", f"http://{self.target}")
        service.hosted()
        command = [self.arguments.goproxy, "dial", "-identity", client.path, "-service", service.name, *more]
        dialing = self.programs.program(*command, title="goproxy dial")
        self.proxies.append(dialing)
        address = dialing.wait_line(r"^ready (\S+)").group(1)
        return address, {"dial": dialing.pid, "host": hosting.pid}

    def hosting(self, *command):
        """A router hears late of new identities, and this SDK then asks it in a tight loop: better begin again."""

        def attempt():
            hosting = self.programs.program(*command, title="goproxy host")
            if hosting.wait_line(r"^(ready|time=)").group(1) == "ready":
                self.proxies.append(hosting)
                return hosting
            hosting.kill()
            return None

        return eventually(attempt, "goproxy hosts the service")

    def run(self, name, measure, seconds):
        connections, file = MEASURES[measure]
        before = {who: cpu(pid) for who, pid in self.processes.items()}
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--latency", "--timeout", "20"]
        done = subprocess.run([*command, f"http://{self.address}/{file}"], check=True, capture_output=True,
                              text=True, timeout=seconds + 60)
        used = {who: cpu(pid) - before[who] for who, pid in self.processes.items()}
        taken = figures(done.stdout, measure, used)
        print(f"{measure} {name}: {shown(measure, taken['rate'])} {taken['errors']}", file=sys.stderr, flush=True)
        return taken


def cpu(pid):
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def figures(said, measure, used):
    """What wrk said: requests or bytes a second, the 99th percentile, bad answers; and processor time."""
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", said).group(1))
    size, unit = re.search(r"Transfer/sec:\s+([\d.]+)([KMG]?)B", said).groups()
    requests, moved, moved_unit = re.search(r"(\d+) requests in [\d.]+m?s, ([\d.]+)([KMG]?)B", said).groups()
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    errors = re.search(r"Socket errors: (.*)", said)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", said)
    work = int(requests) if measure == "requests" else float(moved) * SIZES[moved_unit] / 65536
    return {
        "rate": rate if measure == "requests" else float(size) * SIZES[unit],
        "p99_ms": float(p99.group(1)) * {"us": 0.001, "ms": 1, "s": 1000}[p99.group(2)] if p99 else None,
        "bad": int(bad.group(1)) if bad else 0,
        "errors": errors.group(1) if errors else "",
        "cpu_us": {who: round(seconds * 1e6 / max(work, 1), 1) for who, seconds in used.items()},
    }


def shown(measure, value):
    return f"{value:,.0f}/s" if measure == "requests" else f"{value * 8 / 1e9:.2f} Gbit/s"


def table(runs):
    lines = ["| measure | who | median | min–max | p99 ms | CPU µs per request or 64 KiB | against go |", "|" + "---|" * 7]
    ratios = {}
    for measure, by_name in runs.items():
        medians = {name: statistics.median(run["rate"] for run in taken) for name, taken in by_name.items()}
        for name, taken in by_name.items():
            rates = [run["rate"] for run in taken]
            p99 = statistics.median(run["p99_ms"] or 0 for run in taken)
            spent = ", ".join(f"{who} {statistics.median(run['cpu_us'][who] for run in taken):.0f}"
                              for who in taken[0]["cpu_us"])
            against = statistics.median(run["rate"] / go["rate"] for run, go in zip(taken, by_name["go"]))
            ratios.setdefault(measure, {})[name] = round(against, 2)
            bad = sum(run["bad"] for run in taken)
            lines.append(f"| {measure} | {name} | {shown(measure, medians[name])} | {shown(measure, min(rates))} – "
                         f"{shown(measure, max(rates))} | {p99:.1f} | {spent} | {against:.2f} ×"
                         f"{f' ({bad} bad answers)' if bad else ''} |")
    return "\n".join(lines), ratios


def pair(text):
    name, _, pid = text.partition("=")
    return name, int(pid)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--goproxy", required=True, help="the program of goproxy/")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of one run")
    parser.add_argument("--plain", action="store_true", help="services without end-to-end encryption")
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=CONTENDERS)
    parser.add_argument("--measures", nargs="+", choices=MEASURES, default=list(MEASURES))
    parser.add_argument("--pid", type=pair, action="append", default=[], help="whose processor time counts, too")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if "SIMPLON_ZITI_CONTROLLER" not in os.environ:
        sys.exit("bench.py: SIMPLON_ZITI_CONTROLLER and its companions must name a real network")
    with tempfile.TemporaryDirectory(prefix="simplon-bench-") as name:
        folder = Path(name)
        bench = None
        network = Network.at(folder, None)
        try:
            bench = Bench(network, folder, arguments)
            names = ["direct", *arguments.contenders]
            runs = {measure: {name: [] for name in names} for measure in arguments.measures}
            for _ in range(arguments.rounds):
                for name in names:
                    bench.up(name)
                    for measure in arguments.measures:
                        bench.run(name, measure, 1)  # the connections are made outside of what counts
                        runs[measure][name].append(bench.run(name, measure, arguments.seconds))
                    bench.down()
            text, ratios = table(runs)
            version = network.version
        finally:
            if bench:
                bench.down()
                bench.origin.end()
            network.remove()
    head = f"controller {version}, services {'plain' if arguments.plain else 'encrypted'}, " \
           f"{arguments.rounds} rounds of {arguments.seconds} s"
    print(head, "", text, sep="\n")
    if arguments.json:
        arguments.json.write_text(json.dumps({"run": head, "ratios": ratios, "runs": runs}, indent=1) + "\n")
    missed = [measure for measure in arguments.measures if ratios[measure].get("simplon", BAR) < BAR]
    if missed:
        sys.exit(f"below {BAR} × go: {', '.join(missed)}")


if __name__ == "__main__":
    main()
