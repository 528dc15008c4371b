"""The world outside this machine, as a client sees it: a proxy that lets nothing through and keeps who was asked for."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Outside:
    """A running proxy; a context manager that ends it."""

    def __init__(self):
        self.hosts = set()
        hosts = self.hosts

        class Refusal(BaseHTTPRequestHandler):
            """Refuses whatever is asked for."""

            def refuse(self):
                target = f"//{self.path}" if self.command == "CONNECT" else self.path
                hosts.add(urlsplit(target).hostname or self.path)
                self.send_error(403, "this test has no outside")

            do_CONNECT = do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = refuse

            def log_message(self, *_):
                """The record is enough."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Refusal)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def env(self):
        """What makes a program go through it, except to this machine."""
        proxy = f"http://127.0.0.1:{self.server.server_port}"
        here = "127.0.0.1,localhost,::1"
        upper = {"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy, "ALL_PROXY": proxy, "NO_PROXY": here}
        return upper | {name.lower(): value for name, value in upper.items()}
