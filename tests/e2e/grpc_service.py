"""A gRPC service that tells the truth about its calls, as a program: grpcio, messages are bytes.

Says `listening on ADDRESS` once it serves, and ends at the end of its standard input or by a signal.
"""

import concurrent.futures
import json
import signal
import threading

import grpc

SERVICE = "simplon.test.Calls"
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
# All these calls must be there at once before one of them is answered.
GATHERED = 100
PATIENCE = 60


class Calls(grpc.GenericRpcHandler):
    def __init__(self):
        self.gathered = threading.Barrier(GATHERED)
        self.ended = set()  # the requests of calls of `hang` that have
        self.changed = threading.Condition()
        unary_stream = grpc.unary_stream_rpc_method_handler
        unary_unary = grpc.unary_unary_rpc_method_handler
        self.methods = {
            "Echo": unary_unary(self.echo),
            "Fail": unary_unary(self.fail),
            "About": unary_unary(self.about),
            "Gather": unary_unary(self.gather),
            "HowEnded": unary_unary(self.how_ended),
            "Count": unary_stream(self.count),
            "Hang": unary_stream(self.hang),
            "Join": grpc.stream_unary_rpc_method_handler(self.join),
            "Chat": grpc.stream_stream_rpc_method_handler(self.chat),
        }

    def service(self, details):
        return self.methods.get(details.method.removeprefix(f"/{SERVICE}/"))

    def echo(self, request, context):
        return request

    def fail(self, request, context):
        """Request: a status code's name and the details."""
        code, details = request.decode().split(" ", 1)
        context.set_trailing_metadata((("x-trailing", "behind the failure"), ("x-bin", b"\0\xff")))
        context.abort(grpc.StatusCode[code], details)

    def about(self, request, context):
        """What the server knows of the call; the client's x- metadata comes back in both places."""
        given = [(key, value) for key, value in context.invocation_metadata() if key.startswith("x-")]
        context.send_initial_metadata(given)
        context.set_trailing_metadata([("x-trailing", "of success"), *given])
        known = {
            "peer": context.peer(),
            "remaining": context.time_remaining(),
            "metadata": [key for key, _ in context.invocation_metadata()],
        }
        return json.dumps(known).encode()

    def gather(self, request, context):
        self.gathered.wait(PATIENCE)
        return request

    def count(self, request, context):
        for number in range(int(request)):
            yield str(number).encode()

    def join(self, requests, context):
        return b",".join(requests)

    def chat(self, requests, context):
        for request in requests:
            yield b"re: " + request

    def hang(self, request, context):
        """One message, then nothing until the call ends, which only its client can cause."""
        over = threading.Event()

        def ended():
            over.set()
            with self.changed:
                self.ended.add(request)
                self.changed.notify_all()

        # Before the first message: behind it nothing may run, if the call has ended by then.
        if not context.add_callback(ended):
            ended()
        yield b"hanging"
        over.wait(PATIENCE)

    def how_ended(self, request, context):
        with self.changed:
            self.changed.wait_for(lambda: request in self.ended, PATIENCE)
            return b"cancelled" if request in self.ended else b"still hangs"


def main():
    server = grpc.server(
        concurrent.futures.ThreadPoolExecutor(GATHERED + 28),
        options=[*UNLIMITED, ("grpc.so_reuseport", 0)],
    )
    server.add_generic_rpc_handlers((Calls(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: server.stop(0))
    print(f"listening on 127.0.0.1:{port}, grpcio {grpc.__version__}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
