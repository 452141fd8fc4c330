#!/usr/bin/env python3
"""How long an event of a stream takes: straight from the origin, and through access and share.

    SIMPLON_BUILD_DIR=build/release build/venv/bin/python tests/bench/sse_latency.py [--events N]

The origin puts the clock into each event and sends the next when the client has the last, so the
path is idle. Two agents, the embedded overlay, loopback. The bar is 5 ms for the 99th percentile
through the tunnel; exit code 1 where it is missed.
"""

import argparse
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "e2e"))

from programs import Programs  # noqa: E402

BAR = 0.005
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


class Origin:
    """Sends one event whenever it is told that the last one arrived."""

    def __init__(self, events):
        self.events = events
        self.arrived = threading.Semaphore(0)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                part = connection.recv(4096)
                if not part:
                    return  # a check whether the target is there
                head += part
            connection.sendall(HEAD)
            for _ in range(self.events):
                connection.sendall(b"data: %d\n\n" % time.monotonic_ns())
                self.arrived.acquire()


def measure(address, origin):
    """Seconds that each event was on its way, sorted."""
    host, port = address.rsplit(":", 1)
    taken = []
    with socket.create_connection((host, int(port))) as client:
        client.sendall(b"GET /events HTTP/1.1\r\nHost: bench.test\r\n\r\n")
        received = b""
        while len(taken) < origin.events:
            part = client.recv(65536)
            now = time.monotonic_ns()
            assert part, "the stream ended early"
            received += part
            start = received.find(b"data: ")
            if start >= 0 and (end := received.find(b"\n\n", start)) >= 0:
                taken.append((now - int(received[start + 6 : end])) / 1e9)
                received = received[end + 2 :]
                origin.arrived.release()
    return sorted(taken)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--events", type=int, default=2000)
    options = parser.parse_args()
    origin = Origin(options.events)
    with tempfile.TemporaryDirectory() as folder:
        programs = Programs(folder)
        try:
            alpha = programs.agent("alpha")
            beta = programs.agent("beta", hub="none")
            beta.join(alpha.invite("beta"))
            beta.share("http://" + origin.address, "bench")
            access = alpha.access("bench")
            direct = measure(origin.address, origin)
            tunnel = measure(access, origin)
        finally:
            programs.end()
    print(f"{options.events} events   median      p99        max")
    for name, taken in (("direct", direct), ("tunnel", tunnel)):
        median, p99 = taken[len(taken) // 2], taken[len(taken) * 99 // 100]
        print(f"{name:13} {median * 1e3:8.3f} ms {p99 * 1e3:8.3f} ms {taken[-1] * 1e3:8.3f} ms")
    missed = tunnel[len(tunnel) * 99 // 100] > BAR
    print("bar: p99 through the tunnel at most 5 ms:", "MISSED" if missed else "held")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
