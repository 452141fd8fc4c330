"""The official Python SDK (`openziti`, the C SDK inside) as a peer: between TCP and the network.

    sdk_peer.py dial IDENTITY SERVICE            each connection to the address it prints is dialed
    sdk_peer.py host IDENTITY SERVICE HOST:PORT  each dial goes to that address

A process of its own: what crashes in the SDK must not take the tests with it.
"""

import contextlib
import os
import signal
import socket
import sys
import threading

import openziti
from openziti import zitilib

PIECE = 64 * 1024


def one_way(source, sink):
    try:
        while piece := source.recv(PIECE):
            sink.sendall(piece)
    except OSError:
        pass
    try:
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def join(overlay, plain):
    def both():
        there = threading.Thread(target=one_way, args=(overlay, plain), daemon=True)
        there.start()
        one_way(plain, overlay)
        there.join()
        # The SDK closes numbers of sockets twice, the second time perhaps another socket's: none is given back.
        for ended in (plain, overlay):
            with contextlib.suppress(OSError):
                ended.shutdown(socket.SHUT_RDWR)
            ended.detach()

    threading.Thread(target=both, daemon=True).start()


def dial(identity, service):
    context = openziti.load(identity)
    with socket.create_server(("127.0.0.1", 0), backlog=256) as server:
        print(f"listening on 127.0.0.1:{server.getsockname()[1]}", flush=True)
        while True:
            client = server.accept()[0]
            overlay = zitilib.ziti_socket(socket.SOCK_STREAM)
            try:
                # The wrapper's own connect() does not take a call without terminator.
                zitilib.connect(overlay, context._ctx, service, "")
            except Exception as refused:  # the SDK raises what it likes
                print(f"refused: {refused}", flush=True)
                os.close(overlay)
                client.close()
                continue
            join(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, overlay), client)


def host(identity, service, target):
    address, _, port = target.rpartition(":")
    listener = openziti.load(identity).bind(service)
    listener.listen(100)
    print(f"hosting service {service}", flush=True)
    while True:
        overlay = listener.accept()[0]
        try:
            join(overlay, socket.create_connection((address, int(port))))
        except OSError:
            overlay.close()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python's own handler waits for the SDK's accept
    {"dial": dial, "host": host}[sys.argv[1]](*sys.argv[2:])
