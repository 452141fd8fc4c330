"""The programs under test, as objects."""

import json
import os
import re
import signal
import subprocess
import threading
from collections import deque
from pathlib import Path

BIN = Path(os.environ.get("SIMPLON_BUILD_DIR", "build/release")).resolve() / "bin"
AGENT = BIN / "simplon-agent"
CTL = BIN / "simplonctl"
# Such a build is slow, and its memory is not the program's own.
SANITIZED = any(kind in BIN.parts[-2] for kind in ("asan", "tsan"))

# Upper bounds for what normally takes well under a second; sanitizer builds are slow.
READY = 30
ANSWER = 60

ADDRESS = re.compile(r"(127\.0\.0\.1:\d+)")


def environment():
    """Without anything that would choose another agent."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SIMPLON_")}
    return kept | {"NO_COLOR": "1"}


class Process:
    """A running program whose output is read line by line, so that a test can wait for a line."""

    def __init__(self, command, title, **options):
        self.title = title
        self.command = [str(part) for part in command]
        self._lines = deque(maxlen=5000)
        self._changed = threading.Condition()
        self._open = 2
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=environment() | options.pop("env", {}),
            **options,
        )
        self._readers = [
            threading.Thread(target=self._read, args=(pipe,), daemon=True)
            for pipe in (self.process.stdout, self.process.stderr)
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, pipe):
        for line in pipe:
            with self._changed:
                self._lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._open -= 1
            self._changed.notify_all()

    @property
    def pid(self):
        return self.process.pid

    @property
    def log(self):
        with self._changed:
            return "\n".join(self._lines)

    def wait_line(self, pattern, timeout=READY):
        """The match of the first line, past or coming, in which the pattern is found."""
        wanted = re.compile(pattern)
        found = None

        def look():
            nonlocal found
            for line in self._lines:
                found = wanted.search(line)
                if found:
                    return True
            return self._open == 0

        with self._changed:
            self._changed.wait_for(look, timeout)
        assert found, f"{self.title}: no line like {pattern!r} in {timeout} s; it said:\n{self.log}"
        return found

    def signal(self, number):
        self.process.send_signal(number)

    def memory(self, what="RssAnon"):
        """Bytes that it holds of its own, or at its peak (VmHWM)."""
        lines = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(what + ":"))

    def wait(self, timeout=ANSWER):
        code = self.process.wait(timeout)
        for reader in self._readers:
            reader.join(timeout)
        return code

    def kill(self):
        """As a power loss would: nothing is flushed or closed in order."""
        self.process.kill()
        self.wait()

    def end(self):
        """SIGTERM and the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.wait()


class Answer:
    """What a command that ended said."""

    def __init__(self, command, done):
        self.command = " ".join(str(part) for part in command)
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr

    def ok(self):
        assert self.code == 0, f"{self.command}: exit {self.code}\n{self.out}{self.err}"
        return self

    def failed(self, code, *words):
        """Asserts the exit code and that standard error has each of the words."""
        assert self.code == code, f"{self.command}: exit {self.code}\n{self.out}{self.err}"
        for word in words:
            assert word in self.err, f"{word!r} is not in: {self.err}"
        return self

    @property
    def json(self):
        return json.loads(self.ok().out)


def ctl(*arguments, stdin=None, env=None, cwd=None):
    command = [CTL, *arguments]
    done = subprocess.run(
        [str(part) for part in command],
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=ANSWER,
        env=environment() | (env or {}),
        cwd=cwd,
    )
    return Answer(command, done)


class Agent(Process):
    """A running simplon-agent that said it is ready."""

    def __init__(self, name, state, hub="127.0.0.1:0", arguments=(), **options):
        self.name = name
        self.state = Path(state)
        command = [AGENT, "--state-dir", state, "--agent-name", name]
        if hub is not None:
            command += ["--hub-listen", hub]
        super().__init__([*command, *arguments], f"agent {name}", **options)

    def ready(self):
        self.wait_line(rf"\bready\b")
        return self

    @property
    def socket(self):
        return self.state / "agent.sock"

    def ctl(self, *arguments, **options):
        return ctl("--state-dir", self.state, *arguments, **options)

    def json(self, *arguments, **options):
        return self.ctl("-o", "json", *arguments, **options).json

    def invite(self, name, *arguments):
        return self.ctl("hub", "invite", name, *arguments).ok().out.strip()

    def join(self, token, *arguments):
        self.ctl("join", "-", *arguments, stdin=token + "\n").ok()
        self.ctl("status", "--wait", "20s").ok()
        return self

    def tunnel(self, name):
        return self.json("get", name)

    def tunnels(self):
        return [tunnel["name"] for tunnel in self.json("list")["tunnels"]]

    def hub_address(self):
        return self.json("status")["hub"]["listen"]

    def called(self, name):
        """What the overlay calls the service; overlays.py has one where names are everybody's."""
        return name

    def share(self, target, name, *arguments):
        self.ctl("share", target, "--name", name, *arguments).ok()

    def access(self, service, *arguments):
        """host:port of a new access."""
        return address_of(self.json("access", service, *arguments))

    def frontend(self, zone="localhost", *arguments):
        return address_of(self.json("frontend", "--zone", zone, *arguments))


class Tool(Process):
    """A running `simplonctl test …` server that said where it listens."""

    def __init__(self, command, title, **options):
        super().__init__(command, title, **options)
        self.address = None

    def ready(self):
        line = self.wait_line(r"^(listening on|hosting service) ")
        found = ADDRESS.search(line.string)
        self.address = found.group(1) if found else None
        return self

    @property
    def url(self):
        return "http://" + self.address


def address_of(tunnel):
    """host:port of an access's or frontend's listener."""
    kind = "access" if "access" in tunnel else "frontend"
    return tunnel[kind]["listen"]


class Programs:
    def __init__(self, folder):
        self.folder = Path(folder)
        self._all = []
        self._agents = 0

    def _keep(self, process):
        self._all.append(process)
        return process

    def agent(self, name, *arguments, state=None, hub="127.0.0.1:0", **options):
        state = state or self.folder / name
        return self._keep(Agent(name, state, hub, arguments, **options)).ready()

    def starting_agent(self, name, *arguments, state=None, hub="127.0.0.1:0", **options):
        """An agent that need not become ready."""
        return self._keep(Agent(name, state or self.folder / name, hub, arguments, **options))

    def tool(self, *arguments, **options):
        command = [CTL, *arguments]
        return self._keep(Tool(command, " ".join(map(str, arguments)), **options)).ready()

    def program(self, *command, title=None, **options):
        """A third party's program."""
        return self._keep(Process(command, title or str(command[0]), **options))

    def logs(self):
        return [(process.title, process.log) for process in self._all]

    def end(self):
        for process in reversed(self._all):
            if process.process.poll() is None:
                process.process.send_signal(signal.SIGINT)
        stuck = []
        for process in reversed(self._all):
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                stuck.append(process.title)
        crashed = [
            f"{process.title}: {found.group(0)}"
            for process in self._all
            if (found := re.search(r"(AddressSanitizer|LeakSanitizer|runtime error):.*", process.log))
        ]
        assert not crashed, crashed
        assert not stuck, f"did not end in 15 s after SIGINT: {stuck}"
