"""Codex CLI: the Responses API as a custom provider, over HTTP and over a WebSocket."""

import json
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from demo import Demo
from outside import Outside
from pictures import picture
from program import Program, alone, finish
from recordings import outcome

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


#: What an account says whose quota is used up.
SPENT = {"type": "usage_limit_reached", "message": "The usage limit has been reached", "resets_in_seconds": 3600}
LIMIT = {"status": 429, "body": {"json": {"error": SPENT}}}


class Codex(Program):
    """The ground of the tests below."""

    outside = frozenset({"github.com", "api.github.com", "chatgpt.com", "ab.chatgpt.com"})
    config = ""

    def configure(self, model, more=""):
        self.settings(".codex/config.toml", more + self.config.format(model=model, url=self.demo.url))

    def run_codex(self, *args, code=0):
        """One run of `codex exec`."""
        command = ["codex", "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", *args]
        return self.launch(command, {"POLYGATE_KEY": self.demo.key}, code)

    def write(self, name="hello.txt"):
        """It writes a file with the tool that its model has for it."""
        run = self.run_codex(f"write {self.folder}/{name} with: written by codex")
        self.written(name, "written by codex", run)
        return run

    def asked(self, run):
        """What the client asked the gateway: by no other way than the one that was set."""

    def turns(self):
        """The model requests that were to be answered: no prewarm is."""
        posts = [seen for seen in self.demo.record()["requests"] if seen["place"] == "responses"]
        return [seen for seen in posts if seen["body"].get("generate") is not False]


class Sessions:
    """What conversations go through, by either way."""

    def test_resume(self):
        self.configure("gpt-5.5")
        self.write()
        run = self.run_codex("resume", "--last", "Reply with exactly: resumed")
        self.assertIn("resumed", run.output)
        self.remembered(self.accepted(3, run)[-1], run)
        self.asked(run)

    def test_an_image(self):
        self.configure("gpt-6-sol")
        path = self.folder / "red.png"
        path.write_bytes(picture(64))
        run = self.run_codex("-i", str(path), "--", "What is this?")
        parts = [part for post in self.accepted(1, run) for item in post["input"] for part in item.get("content") or []]
        self.assertTrue(any(part.get("type") == "input_image" for part in parts), str(run))
        self.asked(run)

    def test_compaction(self):
        # Above what the client says by itself, below what comes of a long answer.
        self.configure("gpt-5.5", "model_auto_compact_token_limit = 16000\n")
        self.run_codex("count to 8000")
        run = self.run_codex("resume", "--last", "Reply with exactly: compacted")
        self.assertIn("compacted", run.output)
        self.assertIn("context compacted", run.errors, str(run))
        posts = self.accepted(3, run)
        # A history begun anew, without the long answer.
        self.assertIsNone(posts[-1].get("previous_response_id"), str(run))
        self.assertNotIn("6999 7000", json.dumps(posts[-1]["input"]), str(run))
        self.asked(run)

    def test_a_reply_that_breaks_off_is_asked_for_once_more(self):
        self.configure("gpt-5.5")
        for how in ("reset", "fin", {"failed": {"code": "server_error", "message": "It broke."}}):
            with self.subTest(how=how):
                self.demo.reset()
                self.demo.script({"shape": {"stop": {"at": {"event": 12}, "how": how}}})
                run = self.run_codex("count to 40")
                self.assertEqual(run.output.split()[-1], "40", str(run))
                self.assertEqual(len(self.turns()), 2, str(run))
                self.asked(run)

    def test_no_account_left_is_told_and_not_tried_again(self):
        # Its accounts are of no use to another test.
        self.demo = Demo()
        self.addCleanup(self.demo.stop)
        self.configure("gpt-5.5")
        self.demo.script(LIMIT, times=0)
        run = self.run_codex("Reply with exactly: pong", code=1)
        self.assertIn("hit your usage limit", run.output + run.errors, str(run))
        self.assertNotIn("Reconnecting", run.errors, str(run))
        accounts = [seen["account"] for seen in self.turns()]
        self.assertEqual((len(accounts), len(set(accounts))), (2, 2), f"each account once\n{run}")
        self.asked(run)


class CodexCli(Codex, Sessions):
    """Over HTTP."""

    config = CONFIG

    def remembered(self, post, run):
        # All of it came again; the gateway's own socket goes on from what the backend knows.
        self.assertTrue(post.get("previous_response_id"), str(run))

    def codex(self, model):
        self.configure(model)
        run = self.write()
        posts = self.accepted(2, run)
        self.answered(posts, run)
        self.assertEqual({post["model"] for post in posts}, {model})

    def test_a_classic_model(self):
        self.codex("gpt-5.5")

    def test_a_lite_model(self):
        self.codex("gpt-6-sol")


class CodexSocket(Codex, Sessions):
    """Over a WebSocket, with incremental input: nobody falls back to HTTP."""

    config = SOCKET

    def asked(self, run):
        self.assertNotIn("Falling back", run.output + run.errors)

    def remembered(self, post, run):
        # The client's new socket begins with all of it.
        self.assertIn("hello.txt", json.dumps(post["input"]), str(run))

    def codex(self, model):
        self.configure(model)
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


def refused(status, headers=(), **body):
    """The plan of a refusal."""
    return {"status": status, "headers": list(headers), "body": {"json": body}}


def ended(**how):
    """The plan of a reply that ends early."""
    return {"shape": {"stop": {"at": {"event": 2}, "how": how}}}


FULL = {"code": "context_length_exceeded", "message": "Your input exceeds the context window of this model."}
BUSY = {"code": "server_is_overloaded", "message": "Our servers are currently overloaded. Please try again later."}
RATE = {"code": "rate_limit_exceeded", "message": "Rate limit reached for gpt-5.5. Please try again in 0.4s."}
NO_ROOM, AT_CAPACITY = "ran out of room in the model's context window", "Selected model is at capacity"
#: Once over either way; over and over, where a client with a socket goes through its tries there and then over HTTP.
ONCE, OFTEN = {"http": 1, "socket": 1}, {"http": 6, "socket": 6 + 6}
#: The client asks as often as it does without us; the gateway asks a backend that is busy twice each time.
TWICE = {"http": 5 * 2, "socket": 1 * 2}
#: What the only account says, the client's last words, and how often the backend is asked.
FAILURES = {
    "no room, refused": (refused(400, error={"type": "invalid_request_error", "param": "input", **FULL}), NO_ROOM, ONCE),
    "no room, in the stream": (ended(failed=FULL), NO_ROOM, ONCE),
    "a detail": (refused(400, detail="Unsupported parameter: max_output_tokens"), "Unsupported parameter: max_output", ONCE),
    "overloaded": (refused(503, error={"type": "service_unavailable_error", **BUSY}), AT_CAPACITY, TWICE),
    "overloaded, in the stream": (ended(failed=BUSY), AT_CAPACITY, TWICE),
    "a rate limit": (refused(429, [["retry-after", "1"]], error={"type": "rate_limit_exceeded", **RATE}), "429", OFTEN),
    "a rate limit, in the stream": (ended(failed=RATE), "429 Too Many Requests", OFTEN),
    "cut at the limit": (ended(incomplete={"reason": "max_output_tokens"}), "reason: max_output_tokens", ONCE),
    "filtered": (ended(incomplete={"reason": "content_filter"}), "reason: content_filter", OFTEN),
}


class Failures(unittest.TestCase):
    """Through the gateway the client takes failures as it does without it: gives up, or tries as often."""

    def test_failures_come_through(self):
        table = [(name, way, config) for way, config in (("socket", SOCKET), ("http", CONFIG)) for name in FAILURES]
        with ThreadPoolExecutor(4) as pool:
            runs = list(pool.map(self.one, table))
        for (name, way, _), (run, record) in zip(table, runs, strict=True):
            with self.subTest(name=name, way=way):
                _, words, asked = FAILURES[name]
                ends = [outcome(json.loads(line)) for line in run.output.splitlines() if line.startswith("{")]
                how, said = [end for end in ends if end][-1]
                self.assertEqual((how, run.code), ("failed", 1), str(run))
                self.assertIn(words, said, str(run))
                posts = [seen["body"] for seen in record["requests"] if seen["place"] == "responses"]
                turns = [post for post in posts if post.get("generate") is not False]
                self.assertEqual(len(turns), asked[way], str(run))
                self.assertEqual("Reconnecting" in run.output, asked is OFTEN, str(run))
                self.assertEqual(record["offences"], [], str(run))

    def one(self, row):
        """The run with a gateway of its own, and what the backend saw of it."""
        name, _, config = row
        with Outside() as outside, Demo("--accounts", "1") as demo, tempfile.TemporaryDirectory() as place:
            home = Path(place).resolve()
            (home / ".codex").mkdir()
            (home / ".codex/config.toml").write_text(config.format(model="gpt-5.5", url=demo.url))
            demo.script(FAILURES[name][0], times=0)
            command = ["codex", "exec", "--skip-git-repo-check", "--json", "Reply with exactly: pong"]
            run = finish(command, alone(home, home, {**outside.env(), "POLYGATE_KEY": demo.key}), home)
            return run, demo.record()
