"""`python -m sandbox.plugins NAME ENGINE`: serve one provider; what `bin/` runs."""

from __future__ import annotations

import signal
import sys
from concurrent import futures

import grpc
from pulumi.runtime.proto import engine_pb2_grpc, provider_pb2_grpc

from sandbox.plugins.provider import Provider


def main(name: str, engine_address: str) -> None:
    """Serve until the engine closes the process, and print the port first, as the engine expects."""
    # The engine's own word for the end (a Ctrl-C in its terminal does not come here): ignored, it waits 5 s for it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    engine = engine_pb2_grpc.EngineStub(grpc.insecure_channel(engine_address))
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=32))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Provider(name, engine), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


main(sys.argv[1], sys.argv[2])
