"""TLS in front of a listener on this machine, as a reverse proxy is: Codex with a ChatGPT login takes no other backend."""

import contextlib
import socket
import ssl
import subprocess
import threading
from pathlib import Path

ISSUE = [
    *("openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
    *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
    *("-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"),
]


class Front:
    """A running front; a context manager that ends it. `url` is where it is, `certificate` what to trust."""

    def __init__(self, port, folder):
        self.certificate, key = str(Path(folder) / "front.pem"), str(Path(folder) / "front.key")
        subprocess.run([*ISSUE, "-keyout", key, "-out", self.certificate], check=True, capture_output=True)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.certificate, key)
        self.port, self.listener = port, socket.create_server(("127.0.0.1", 0))
        self.url = f"https://localhost:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()

    def accept(self):
        """Takes connections until it is closed."""
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self.serve, args=(self.listener.accept()[0],), daemon=True).start()

    def serve(self, plain):
        """One connection, both directions."""
        with contextlib.suppress(OSError), plain, self.context.wrap_socket(plain, server_side=True) as client:
            with socket.create_connection(("127.0.0.1", self.port)) as server:
                back = threading.Thread(target=carry, args=(server, client), daemon=True)
                back.start()
                carry(client, server)
                back.join()


def carry(source, sink):
    """Carries what comes until an end closes, and then closes both."""
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
