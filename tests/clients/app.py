"""The server inside Codex, as an app or an editor starts and drives it."""

import json
import subprocess
import threading

from program import LIMIT


class App:
    """A running server; a context manager that ends it. `hello` is how it greeted, `heard` what it said since."""

    def __init__(self, name, env, folder):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.client = subprocess.Popen(["codex", "app-server"], env=env, cwd=folder, text=True, **pipes)
        self.limit = threading.Timer(LIMIT, self.client.kill)
        self.name, self.folder, self.heard, self.calls = name, folder, [], 0

    def __enter__(self):
        self.limit.start()
        info = {"name": self.name, "title": "test", "version": "1.2.3"}
        self.hello = self.call("initialize", {"clientInfo": info})
        self.say({"method": "initialized"})
        return self

    def __exit__(self, *_):
        self.limit.cancel()
        self.client.kill()
        self.client.communicate()

    def say(self, message):
        """Sends a message."""
        self.client.stdin.write(json.dumps(message) + "\n")
        self.client.stdin.flush()

    def hear(self, wanted):
        """The next message that is wanted."""
        for line in self.client.stdout:
            self.heard.append(json.loads(line))
            if wanted(self.heard[-1]):
                return self.heard[-1]
        raise AssertionError(f"the client ended after {self.heard[-5:]}")

    def call(self, method, params):
        """The result of a call."""
        self.calls += 1
        self.say({"id": self.calls, "method": method, "params": params})
        answer = self.hear(lambda message: message.get("id") == self.calls and "method" not in message)
        if "result" not in answer:
            raise AssertionError(f"{method}: {answer}")
        return answer["result"]

    def thread(self):
        """A new conversation whose tools may do anything in the folder."""
        free = {"cwd": str(self.folder), "approvalPolicy": "never", "sandbox": "danger-full-access"}
        return self.call("thread/start", free)["thread"]["id"]

    def turn(self, thread, *said):
        """A whole turn, as it ended."""
        self.call("turn/start", {"threadId": thread, "input": [spoken(part) for part in said]})
        return self.done()

    def done(self):
        """The turn under way, as it ended."""
        return self.hear(lambda message: message.get("method") == "turn/completed")["params"]["turn"]

    def told(self, method):
        """What it told by itself, of this kind."""
        return [message["params"] for message in self.heard if message.get("method") == method]


def spoken(part):
    """A part of what a person says: words, or the path of a picture."""
    return {"type": "text", "text": part} if isinstance(part, str) else {"type": "localImage", "path": str(part)}
