"""The made-up backend on its own, over TLS: the official client with a ChatGPT login takes no other."""

import json
import os
import ssl
import subprocess
import tempfile
import urllib.request


class Backend:
    """A running backend; what it has for the tests is what `demo.Demo` has of its own."""

    def __init__(self):
        binary = os.environ.get("OFFLINE_BIN")
        if not binary:
            raise SystemExit("OFFLINE_BIN is not set; run `cargo xtask test --clients`")
        self.folder = tempfile.TemporaryDirectory(prefix="polygate-offline-")
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen([binary, self.folder.name], text=True, **pipes)
        facts = json.loads(self.process.stdout.readline())
        self.url, self.certificate = facts["offline"], facts["certificate"]
        trust = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=self.certificate))
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), trust)

    def stop(self):
        """Ends it and waits for its end."""
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.process.stdout.close()
        self.folder.cleanup()

    def login(self, plan="plus"):
        """The auth.json of a new account."""
        return self._control("POST", "accounts", {"plan": plan})["auth_json"]

    def record(self):
        """Everything it saw."""
        return self._control("GET", "record")

    def script(self, plan, **rule):
        """Plans the answer of the next matching model request (see the crate `offline`)."""
        return self._control("POST", "script", {"plan": plan, **rule})

    def reset(self):
        """Forgets the record and the plans."""
        return self._control("POST", "reset", {})

    def _control(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/offline/{path}", data=data, method=method)
        with self.opener.open(request, timeout=60) as answer:
            return json.loads(answer.read())
