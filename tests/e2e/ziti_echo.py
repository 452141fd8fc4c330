"""An echo server, and connections that try it, for tests that break the network in between."""

import socket
import socketserver
import threading

from ziti_network import eventually

TRY = 3


class Echo(socketserver.ThreadingTCPServer):
    """Sends back what it gets; .address is host:port."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 512

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            try:
                while piece := self.request.recv(64 * 1024):
                    self.request.sendall(piece)
            except OSError:
                pass  # the network broke

    def __init__(self, port=0):
        super().__init__(("127.0.0.1", port), self.Handler)
        self.address = f"127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()


def connect(address, timeout=TRY):
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=timeout)


def echoes(address, timeout=TRY):
    """Whether a new connection to the address brings its bytes back in that time."""
    try:
        with connect(address, timeout) as client:
            client.sendall(b"ping")
            return client.recv(4) == b"ping"
    except OSError:
        return False


def echoes_again(address, said):
    eventually(lambda: echoes(address), said)
