"""The binary under test: `polygate demo` on its made-up backend, and that backend's control side."""

import json
import os
import subprocess
import urllib.error
import urllib.request

# Answers of the gateway and of its backend come from this machine, whatever the environment says about proxies.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def fetch(method, url, headers=None, body=None):
    """Status, headers and body of one request; an error status is an answer like any other."""
    data = None if body is None else json.dumps(body).encode()
    head = {"content-type": "application/json", **(headers or {})}
    request = urllib.request.Request(url, data=data, headers=head, method=method)
    try:
        with _opener.open(request, timeout=60) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


class Demo:
    """A running demo; a context manager that ends it."""

    def __init__(self, *args, env=None):
        binary = os.environ.get("POLYGATE_BIN")
        if not binary:
            raise SystemExit("POLYGATE_BIN is not set; run `cargo xtask test --clients` or `--python`")
        command = [binary, "--json", "demo", "--port", "0", "--pace", "0", *args]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, **(env or {})}, text=True)
        first = self.process.stdout.readline()
        if not first:
            raise RuntimeError(f"polygate demo ended with {self.process.wait()}")
        self.facts = json.loads(first)
        self.url, self.key, self.offline = (self.facts[name] for name in ("url", "key", "offline"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Ends it and waits for its end."""
        self.process.terminate()
        self.process.communicate(timeout=30)

    def record(self):
        """Everything the backend saw."""
        return json.loads(fetch("GET", f"{self.offline}/offline/record")[2])

    def script(self, plan, **rule):
        """Plans the answer of the next matching model request (see the crate `offline`)."""
        return self._control("script", {"plan": plan, **rule})

    def reset(self):
        """Forgets the record and the plans."""
        return self._control("reset", {})

    def _control(self, path, body):
        status, _, answer = fetch("POST", f"{self.offline}/offline/{path}", body=body)
        if status != 200:
            raise RuntimeError(f"{path}: {status} {answer.decode()}")
        return json.loads(answer)
