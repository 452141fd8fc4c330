"""Who hosts and who dials in the tests on an OpenZiti network: our agents, the SDK, edge_client.py.

Each kind has a host with `accept`, and a dialer with `start`, which gives a call to be finished with
`result`: a stream. All streams have send, finish, receive, read, rest, close and abort.
"""

import asyncio
import socket
import struct
import subprocess
import sys

import edge_client
from ziti_edge import WAIT, Peer, Stream
from ziti_network import SUPPORT, eventually

KINDS = ("simplon", "sdk", "edge")
PIECE = 64 * 1024


class TcpStream:
    def __init__(self, connected):
        self.socket = connected
        self.socket.settimeout(WAIT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data):
        self.socket.sendall(data)

    def finish(self):
        self.socket.shutdown(socket.SHUT_WR)

    def receive(self, timeout=WAIT, size=PIECE):
        """The next piece, b"" at the end, be it in order or a reset."""
        self.socket.settimeout(timeout)
        try:
            return self.socket.recv(size)
        except (ConnectionResetError, BrokenPipeError):
            return b""

    def read(self, size):
        parts, left = [], size
        while left and (piece := self.receive(size=min(left, PIECE))):
            parts.append(piece)
            left -= len(piece)
        return b"".join(parts)

    def rest(self):
        parts = []
        while piece := self.receive():
            parts.append(piece)
        return b"".join(parts)

    def close(self):
        self.socket.close()

    def abort(self):
        """RST, whatever is still in the buffers."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class TcpHost:
    """What a share of ours, or the SDK's bridge, connects to."""

    def __init__(self):
        self._server = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._server.settimeout(WAIT)
        self.target = f"127.0.0.1:{self._server.getsockname()[1]}"

    def accept(self):
        return TcpStream(self._server.accept()[0])

    def close(self):
        self._server.close()


class TcpDialer:
    """The listener of an access of ours, or of the SDK's bridge."""

    def __init__(self, address):
        self.address = address
        host, _, port = address.rpartition(":")
        self._address = host, int(port)

    def start(self):
        return Ready(TcpStream(socket.create_connection(self._address, timeout=WAIT)))

    def close(self):
        pass


class Ready:
    def __init__(self, stream):
        self._stream = stream

    def result(self):
        return self._stream


class EdgeHost:
    def __init__(self, loop, identity, service):
        self._peer = Peer(loop, identity)
        self._listener = self._peer.bind(service)

    def accept(self):
        return self._listener.accept()

    def reject(self, text):
        self._listener.reject(text)

    def close(self):
        self._peer.close()


class EdgeDialer:
    def __init__(self, loop, identity, service):
        self._peer, self._loop = Peer(loop, identity), loop
        self._token = self._peer.session(service, "Dial")["token"]
        self._encrypted = self._peer.controller.service(service.name)["encryptionRequired"]
        self._channel = self._peer.channel

    def start(self):
        return Dialing(self._loop, edge_client.dial(self._channel, self._token, self._encrypted))

    def close(self):
        self._peer.close()


class Dialing:
    def __init__(self, loop, work):
        self._loop, self._stream = loop, None
        self._future = asyncio.run_coroutine_threadsafe(work, loop.loop)

    def result(self):
        if self._stream is None:
            self._stream = Stream(self._loop, self._future.result(WAIT))
        return self._stream


class Agents:
    """Agent alpha, which dials, and agent beta, which hosts; each has one identity of the network."""

    def __init__(self, programs, ziti):
        self.client, self.host = ziti.identity("dialing-agent"), ziti.identity("hosting-agent")
        self.alpha, self.beta = programs.agent("ziti-alpha", hub="none"), programs.agent("ziti-beta", hub="none")
        for agent, identity in ((self.alpha, self.client), (self.beta, self.host)):
            agent.ctl("overlay", "add", "ziti", "--identity", identity.path).ok()
        self._made = []

    def share(self, service, target, *options):
        self.beta.ctl("share", target, "--overlay", "ziti", "--service", service.name, "--name", service.name,
                      *options).ok()
        self._made.append((self.beta, service.name))

    def access(self, service, *options):
        name = f"{service.name}-access"
        self._made.append((self.alpha, name))
        return self.alpha.access(service.name, "--overlay", "ziti", "--name", name, *options)

    def delete(self, service):
        for agent, name in [made for made in self._made if made[1].startswith(service.name)]:
            agent.ctl("delete", name).ok()
            self._made.remove((agent, name))


def sdk_problem():
    """Why the SDK cannot be used here, or None."""
    done = subprocess.run([sys.executable, "-c", "import openziti; openziti.version()"], capture_output=True, text=True)
    return done.stderr.strip().splitlines()[-1] if done.returncode else None


class Case:
    """A service with a host of one kind and dialers of another."""

    def __init__(self, ziti, programs, loop, agents, host, dialer, encrypted):
        self.ziti, self.kinds, self.encrypted = ziti, (host, dialer), encrypted
        self._agents, self._closing, self._bridges = agents, [], []
        hosting = agents.host if host == "simplon" else ziti.identity(f"{host}-host")
        dialing = agents.client if dialer == "simplon" else ziti.identity(f"{dialer}-client")
        self.hosting, self.dialing = hosting, dialing
        self.service = ziti.service([hosting], [dialing], encrypted=encrypted)
        try:
            self._host(host, programs, loop)
            self.service.hosted()
            self._dialer(dialer, programs, loop)
        except BaseException:
            self.close()
            raise

    def _bridge(self, programs, ready, *arguments):
        """The SDK's process. Where it finds no router at first, it tries again too late for a test: it is started anew."""
        command = (sys.executable, "-B", SUPPORT / "sdk_peer.py", *arguments)
        for patience in (3, 10, 30):
            bridge = programs.program(*command, title="openziti SDK")
            self._bridges.append(bridge)
            try:
                return bridge.wait_line(ready, patience)
            except AssertionError:
                if patience == 30:
                    raise
            self._bridges.pop().end()
        return None

    def make_target(self):
        """What hosts other than edge_client.py connect to, at .target."""
        return TcpHost()

    def _host(self, kind, programs, loop):
        if kind == "edge":
            self.host = EdgeHost(loop, self.hosting, self.service)
        else:
            self.host = self.make_target()
            if kind == "sdk":
                self._sdk_host(programs)
            else:
                self._agents.share(self.service, f"tcp://{self.host.target}")
        self._closing.append(self.host)

    def _sdk_host(self, programs):
        self._bridge(programs, "^hosting", "host", self.hosting.path, self.service.name, self.host.target)

    def _dialer(self, kind, programs, loop):
        if kind == "edge":
            self.dialer = EdgeDialer(loop, self.dialing, self.service)
        elif kind == "sdk":
            self._sdk_dialer(programs)
        else:
            self.dialer = TcpDialer(self._agents.access(self.service, "--tcp"))
        self._closing.append(self.dialer)

    def _sdk_dialer(self, programs):
        line = self._bridge(programs, r"^listening on (\S+)", "dial", self.dialing.path, self.service.name)
        self.dialer = TcpDialer(line.group(1))

    def sdk_anew(self, programs):
        """The SDK's ends from the beginning: what they make of a break is their own matter."""
        while self._bridges:
            self._bridges.pop().end()
        host, dialer = self.kinds
        eventually(lambda: self.ziti.version, "the controller is there")
        if host == "sdk":
            self._sdk_host(programs)
            self.service.hosted()  # what is left of the last one is gone, too
        if dialer == "sdk":
            self._sdk_dialer(programs)

    def connect(self):
        """Both ends of a new connection, the dialer's and the host's; one byte went through it."""
        call = self.dialer.start()
        if self.kinds[0] != "edge":  # else the dial waits for the accept below
            call.result().send(b"!")
        accepted = self.host.accept()
        if self.kinds[0] == "edge":
            call.result().send(b"!")
        # A share of ours tries its target now and then: such a connection ends at once.
        while accepted.read(1) != b"!":
            accepted.close()
            accepted = self.host.accept()
        return call.result(), accepted

    def idle(self):
        self.service.idle()

    def close(self):
        if self._agents is not None:
            self._agents.delete(self.service)
        for bridge in self._bridges:
            bridge.end()
        for closing in self._closing:
            closing.close()
        eventually(lambda: not self.ziti.terminators(self.service), "no terminator is left")
