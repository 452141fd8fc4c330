"""The control API as any gRPC client sees it: grpcio, with nothing but reflection."""

import grpc
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.json_format import MessageToDict, ParseDict
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from programs import ANSWER


class Client:
    """Calls of services that were learned by reflection; arguments and answers are messages."""

    def __init__(self, socket):
        self.channel = grpc.insecure_channel(
            f"unix:{socket}", options=[("grpc.use_local_subchannel_pool", 1)]
        )
        self.database = ProtoReflectionDescriptorDatabase(self.channel)
        self.pool = descriptor_pool.DescriptorPool(self.database)

    def services(self):
        return set(self.database.get_services())

    def call(self, method, /, **fields):
        return self._send(method, lambda request: request(**fields))

    def json(self, method, fields):
        """The same in protobuf's JSON mapping, without defaults in the answer."""
        return MessageToDict(self._send(method, lambda request: ParseDict(fields, request())))

    def stream(self, method, /, **fields):
        """The answers of a server stream, as they come."""
        return self._send(method, lambda request: request(**fields), self.channel.unary_stream)

    def _send(self, method, make, kind=None):
        service, name = method.split("/")
        found = self.pool.FindServiceByName(service).FindMethodByName(name)
        request = make(message_factory.GetMessageClass(found.input_type))
        answer = message_factory.GetMessageClass(found.output_type)
        stub = (kind or self.channel.unary_unary)(
            f"/{service}/{name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        return stub(request, timeout=ANSWER)

    def agent(self, method, /, **fields):
        return self.call(f"simplon.v1.Agent/{method}", **fields)

    def hub(self, method, /, **fields):
        return self.call(f"simplon.v1.Hub/{method}", **fields)
