"""Codex CLI: the Responses API as a custom provider, over HTTP and over a WebSocket."""

import json
import struct
import zlib

from program import Program

CONFIG = """\
model = "{model}"
model_provider = "polygate"
[model_providers.polygate]
name = "Polygate"
base_url = "{url}/v1"
wire_api = "responses"
env_key = "POLYGATE_KEY"
[analytics]
enabled = false
"""

#: The same over a WebSocket.
SOCKET = CONFIG.replace('env_key = "POLYGATE_KEY"', 'env_key = "POLYGATE_KEY"\nsupports_websockets = true')


def picture(side):
    """A red square as PNG."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\xff\0\0" * side) * side)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


class Codex(Program):
    """The ground of the tests below."""

    outside = frozenset({"github.com", "api.github.com", "chatgpt.com", "ab.chatgpt.com"})

    def configure(self, config, model):
        self.settings(".codex/config.toml", config.format(model=model, url=self.demo.url))

    def run_codex(self, *args):
        """One run of `codex exec`."""
        command = ["codex", "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", *args]
        return self.launch(command, {"POLYGATE_KEY": self.demo.key})

    def write(self, name="hello.txt"):
        """It writes a file with the tool that its model has for it."""
        run = self.run_codex(f"write {self.folder}/{name} with: written by codex")
        self.written(name, "written by codex", run)
        return run


class CodexCli(Codex):
    """Over HTTP."""

    def codex(self, model):
        self.configure(CONFIG, model)
        run = self.write()
        posts = self.accepted(2, run)
        self.answered(posts, run)
        self.assertEqual({post["model"] for post in posts}, {model})

    def test_a_classic_model(self):
        self.codex("gpt-5.5")

    def test_a_lite_model(self):
        self.codex("gpt-6-sol")


class CodexSocket(Codex):
    """Over a WebSocket, with incremental input: nobody falls back to HTTP."""

    def asked(self, run):
        """What the client asked the gateway: over its socket alone."""
        self.assertNotIn("Falling back", run.output + run.errors)

    def codex(self, model):
        self.configure(SOCKET, model)
        run = self.write()
        posts = self.accepted(3, run)
        self.answered(posts, run)
        self.asked(run)
        # The backend's socket goes on from the prewarm and from the reply before, as the client's does.
        self.assertIs(posts[0].get("generate"), False, str(run))
        self.assertTrue(all(post.get("previous_response_id") for post in posts[1:]), str(run))
        self.assertEqual(len(posts[-1]["input"]), 1, str(run))

    def test_a_classic_model(self):
        self.codex("gpt-5.5")

    def test_a_lite_model(self):
        self.codex("gpt-6-sol")

    def test_resume(self):
        self.configure(SOCKET, "gpt-5.5")
        self.write()
        run = self.run_codex("resume", "--last", "Reply with exactly: resumed")
        self.assertIn("resumed", run.output)
        said = json.dumps(self.accepted(3, run)[-1]["input"])
        self.assertIn("hello.txt", said, "the conversation before is there")
        self.asked(run)

    def test_an_image(self):
        self.configure(SOCKET, "gpt-6-sol")
        path = self.folder / "red.png"
        path.write_bytes(picture(64))
        run = self.run_codex("-i", str(path), "--", "What is this?")
        parts = [part for post in self.accepted(1, run) for item in post["input"] for part in item.get("content") or []]
        self.assertTrue(any(part.get("type") == "input_image" for part in parts), str(run))
        self.asked(run)

    def test_compaction(self):
        # Above what the client says by itself, below what comes of a long answer.
        self.configure("model_auto_compact_token_limit = 16000\n" + SOCKET, "gpt-5.5")
        self.run_codex("count to 8000")
        run = self.run_codex("resume", "--last", "Reply with exactly: compacted")
        self.assertIn("compacted", run.output)
        self.assertIn("context compacted", run.errors, str(run))
        posts = self.accepted(3, run)
        # A history begun anew, without the long answer.
        self.assertIsNone(posts[-1].get("previous_response_id"), str(run))
        self.assertNotIn("6999 7000", json.dumps(posts[-1]["input"]), str(run))
        self.asked(run)
