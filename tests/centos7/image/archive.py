"""Serve <folder>/<host>/<path> at https://<host>/<path>; each request is a line of the journal."""

import functools
import http.server
import os
import socket
import ssl
import sys

SETTINGS, FOLDER = sys.argv[1:]


class Handler(http.server.SimpleHTTPRequestHandler):
    def translate_path(self, path: str) -> str:
        return super().translate_path(f"/{self.headers['Host']}{path}")


server = http.server.ThreadingHTTPServer(("127.0.0.1", 443), functools.partial(Handler, directory=FOLDER))
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(f"{SETTINGS}/certificate.pem", f"{SETTINGS}/key.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
    systemd.connect(os.environ["NOTIFY_SOCKET"])
    systemd.send(b"READY=1")
server.serve_forever()
