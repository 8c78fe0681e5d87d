# timeout: 120
# threads: yes
"""gRPC's own Python clients: reflection, health, deadlines, metadata, message limits."""
import unittest

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase)

from support.perseus import Server, new_key, synthetic, tensor

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SERVICE = "inference.GRPCInferenceService"
METHODS = {"ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer",
           "ModelStreamInfer", "ModelConfig", "ModelStatistics", "RepositoryIndex",
           "RepositoryModelLoad", "RepositoryModelUnload"}


class Reflection(unittest.TestCase):
    """Everything below is built from what reflection says: no .proto file of ours is read."""

    @classmethod
    def setUpClass(cls):
        cls.key, digest = new_key()
        cls.server = cls.enterClassContext(Server(
            models={"m": synthetic(inputs=[tensor("x", "INT64", (-1, 2))],
                                   outputs=[tensor("y", "FP32", (-1, 3))], mean="1ms"),
                    "slow": synthetic(mean="400ms")},
            tenants=[{"name": "a", "keys": [digest]}]))
        cls.channel = grpc.insecure_channel(cls.server.ready["grpc"])
        cls.addClassCleanup(cls.channel.close)
        cls.database = ProtoReflectionDescriptorDatabase(cls.channel)
        cls.service = DescriptorPool(cls.database).FindServiceByName(SERVICE)

    def call(self, method, fields, key=True, **more):
        m = self.service.methods_by_name[method]
        request = GetMessageClass(m.input_type)(**fields)
        stub = self.channel.unary_unary(
            f"/{SERVICE}/{method}", request_serializer=lambda x: x.SerializeToString(),
            response_deserializer=GetMessageClass(m.output_type).FromString)
        metadata = [("authorization", f"Bearer {self.key}")] if key else []
        return stub(request, metadata=metadata, timeout=more.pop("timeout", 30), **more)

    def infer_fields(self, model="m"):
        if model == "slow":
            return {"model_name": model, "inputs": [{"name": "x", "datatype": "FP32",
                                                     "shape": [1, 4],
                                                     "contents": {"fp32_contents": [0] * 4}}]}
        return {"model_name": model, "inputs": [{"name": "x", "datatype": "INT64", "shape": [1, 2],
                                                 "contents": {"int64_contents": [1, 2]}}]}

    def fails(self, code, *args, **more):
        with self.assertRaises(grpc.RpcError) as caught:
            self.call(*args, **more)
        self.assertEqual(caught.exception.code(), code, caught.exception.details())
        return caught.exception

    def test_services(self):
        names = set(self.database.get_services())
        self.assertLessEqual({SERVICE, "grpc.health.v1.Health",
                              "grpc.reflection.v1alpha.ServerReflection"}, names)

    def test_every_method_is_described_and_there(self):
        self.assertEqual(set(self.service.methods_by_name), METHODS)
        for name in METHODS - {"ModelStreamInfer"}:
            try:
                self.call(name, {})
            except grpc.RpcError as e:
                self.assertNotEqual(e.code(), grpc.StatusCode.UNIMPLEMENTED, name)

    def test_infer_by_described_messages(self):
        answer = self.call("ModelInfer", self.infer_fields())
        self.assertEqual((answer.model_name, list(answer.outputs[0].shape)), ("m", [1, 3]))
        self.assertEqual(len(answer.raw_output_contents[0]), 12)

    def test_unknown_method(self):
        stub = self.channel.unary_unary(f"/{SERVICE}/Nothing")
        with self.assertRaises(grpc.RpcError) as caught:
            stub(b"", timeout=10)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.UNIMPLEMENTED)

    def test_keys(self):
        self.fails(grpc.StatusCode.UNAUTHENTICATED, "ModelInfer", self.infer_fields(), key=False)
        self.assertTrue(self.call("ServerLive", {}, key=False).live)

    def traced(self, method, fields, traceparent=TRACE, key=True):
        """What the server says of the trace: of initial and of trailing metadata."""
        m = self.service.methods_by_name[method]
        stub = self.channel.unary_unary(
            f"/{SERVICE}/{method}", request_serializer=lambda x: x.SerializeToString())
        metadata = [("authorization", f"Bearer {self.key}")] if key else []
        done = stub.future(GetMessageClass(m.input_type)(**fields), timeout=30,
                           metadata=metadata + [("traceparent", traceparent)])
        return [value for name, value in (*done.initial_metadata(), *done.trailing_metadata())
                if name == "traceparent"]

    def test_trace_is_carried_through(self):
        for what, key in ((("ModelInfer", self.infer_fields()), True),
                          (("ServerLive", {}), False),
                          (("ModelMetadata", {"name": "nobody"}), True),  # refused by the message
                          (("ModelInfer", self.infer_fields()), False)):  # ... before it
            with self.subTest(what[0], key=key):
                said = self.traced(*what, key=key)
                self.assertEqual(len(said), 1)
                ours, theirs = said[0].split("-"), TRACE.split("-")
                self.assertEqual((ours[0], ours[1], ours[3]), (theirs[0], theirs[1], theirs[3]))
                self.assertNotEqual(ours[2], theirs[2])
        self.assertEqual(self.traced("ServerLive", {}, TRACE.replace("-", "+")), [])

    def test_trace_of_a_stream(self):
        """One span is told of: that of the first message."""
        m = self.service.methods_by_name["ModelStreamInfer"]
        request = GetMessageClass(m.input_type)(**self.infer_fields())
        stub = self.channel.stream_stream(
            f"/{SERVICE}/ModelStreamInfer", request_serializer=lambda x: x.SerializeToString())
        answers = stub(iter([request, request]), timeout=30, metadata=[
            ("authorization", f"Bearer {self.key}"), ("traceparent", TRACE)])
        said = [value for name, value in answers.initial_metadata() if name == "traceparent"]
        self.assertEqual([x.split("-")[1] for x in said], [TRACE.split("-")[1]])
        self.assertEqual(len(list(answers)), 2)

    def test_unknown_model(self):
        e = self.fails(grpc.StatusCode.NOT_FOUND, "ModelMetadata", {"name": "nobody"})
        self.assertIn("nobody", e.details())

    def test_deadline(self):
        # The client's own deadline and the server's refusal give the same code.
        self.fails(grpc.StatusCode.DEADLINE_EXCEEDED, "ModelInfer", self.infer_fields("slow"),
                   timeout=0.1)
        # The server is not stuck with it.
        self.call("ModelInfer", self.infer_fields())

    def test_health(self):
        stub = health_pb2_grpc.HealthStub(self.channel)
        serving = health_pb2.HealthCheckResponse.SERVING
        self.assertEqual(stub.Check(health_pb2.HealthCheckRequest(), timeout=10).status, serving)
        with self.assertRaises(grpc.RpcError) as caught:
            stub.Check(health_pb2.HealthCheckRequest(service="no.such"), timeout=10)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.NOT_FOUND)
        watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=10)
        self.assertEqual(next(iter(watch)).status, serving)
        watch.cancel()

    def test_message_over_the_limit(self):
        small = grpc.insecure_channel(self.server.ready["grpc"],
                                      options=[("grpc.max_send_message_length", -1)])
        stub = small.unary_unary(f"/{SERVICE}/ModelInfer")
        with self.assertRaises(grpc.RpcError) as caught:
            stub(b"\x3a" + bytes((70 << 20) - 8), timeout=30,
                 metadata=[("authorization", f"Bearer {self.key}")])
        small.close()
        self.assertEqual(caught.exception.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)


if __name__ == "__main__":
    unittest.main()
