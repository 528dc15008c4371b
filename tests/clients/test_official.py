"""Codex CLI with a ChatGPT login against the made-up backend itself: that it works there as it was seen to work with the real
one shows that the made-up one is faithful. It speaks WebSocket first."""

import json
import queue
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import recordings
from backend import Backend
from outside import Outside
from pictures import picture
from program import Program, alone, finish
from tools import Tools

CONFIG = """\
model = "{model}"
chatgpt_base_url = "{url}/backend-api/"
openai_base_url = "{url}/backend-api/codex"
{more}
[analytics]
enabled = false
"""
EXEC = ["codex", "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
NOT_FOUND = {"error": {"type": "invalid_request_error", "code": "previous_response_not_found", "message": "Not found"}}


class OfficialClient(Program, Tools):
    """`codex exec` and `codex exec resume` as their owner runs them; no host but the backend is asked for."""

    @classmethod
    def setUpClass(cls):
        cls.demo = Backend()
        cls.addClassCleanup(cls.demo.stop)

    def sign_in(self, model, more=""):
        self.settings(".codex/auth.json", self.demo.login())
        self.settings(".codex/config.toml", CONFIG.format(model=model, url=self.demo.url, more=more))

    def codex(self, *arguments):
        return self.launch([*EXEC, *arguments], {"CODEX_CA_CERTIFICATE": self.demo.certificate})

    def turns(self):
        """The model requests of the record."""
        record = self.demo.record()
        self.assertEqual(record["offences"], [])
        return [seen for seen in record["requests"] if seen["place"] == "responses"]

    def answers(self, *arguments, **expected):
        """Runs it and asserts the last line that it says."""
        run = self.codex(*arguments)
        self.assertEqual(run.output.strip(), expected["text"], str(run))
        return run

    def works(self, model):
        self.sign_in(model)
        run = self.codex(f"write {self.folder}/hello.txt with: written by codex")
        self.written("hello.txt", "written by codex", run)
        prewarm, turn, result = self.accepted(3, run)[:3]
        self.answered([result], run)
        self.assertEqual((prewarm["generate"], turn.get("generate")), (False, None))
        self.assertTrue(turn["previous_response_id"] and result["previous_response_id"])
        self.assertEqual(len(result["input"]), 1, "the client sends what is new")
        self.assertEqual({(seen["method"], seen["connection"]) for seen in self.turns()}, {("WS", self.socket())})

        self.demo.reset()
        self.answers("resume", "--last", "Reply with exactly: again", text="again")
        turn = self.turns()[-1]
        kinds = {item["type"] for item in turn["body"]["input"]}
        self.assertTrue({"custom_tool_call", "custom_tool_call_output"} <= kinds, kinds)
        places = {seen["place"]: seen["status"] for seen in self.demo.record()["requests"]}
        self.assertLessEqual({"accounts_check", "models", "noise"}, places.keys())
        self.assertNotIn("other", places, "the client asks for something that the backend does not have")

    def socket(self):
        """The connection of the only socket."""
        (upgrade,) = [seen for seen in self.demo.record()["requests"] if seen["place"] == "socket"]
        self.assertEqual(upgrade["status"], 101)
        return upgrade["connection"]

    def test_a_classic_model(self):
        self.works("gpt-5.5")

    def test_a_lite_model(self):
        self.works("gpt-6-sol")

    def test_compaction(self):
        self.sign_in("gpt-5.5", "model_auto_compact_token_limit = 9000")
        self.answers("Reply with exactly: one", text="one")
        self.answers("resume", "--last", "Reply with exactly: two", text="two")
        self.answers("resume", "--last", "Reply with exactly: three", text="three")
        inputs = [[item["type"] for item in seen["body"]["input"]] for seen in self.turns()]
        triggers = [kinds for kinds in inputs if kinds[-1:] == ["compaction_trigger"]]
        self.assertEqual(len(triggers), 1, inputs)
        self.assertEqual(inputs[-1].count("compaction"), 1, inputs)

    def test_an_image(self):
        self.sign_in("gpt-6-sol")
        (self.folder / "red.png").write_bytes(picture(64))
        run = self.codex("-i", "red.png", "--", "What is this?")
        prewarm, turn = self.accepted(2, run)
        self.assertIs(prewarm["generate"], False)
        parts = [part for item in turn["input"] for part in item.get("content") or []]
        (image,) = [part for part in parts if part["type"] == "input_image"]
        self.assertTrue(image["image_url"].startswith("data:image/png;base64,"), image["image_url"][:40])
        self.assertEqual([seen["method"] for seen in self.turns()], ["WS", "WS"])

    def test_pictures_of_its_own_tool(self):
        for model in ("gpt-5.5", "gpt-6-sol"):
            with self.subTest(model=model):
                self.demo.reset()
                self.sign_in(model)
                self.draws(self.codex)

    def test_a_search_of_its_own_tool(self):
        self.sign_in("gpt-6-sol")
        self.searches(self.codex)

    def test_a_lost_chain_is_sent_whole(self):
        self.sign_in("gpt-5.5")
        self.demo.script({"status": 400, "body": {"json": NOT_FOUND}})
        self.answers("Reply with exactly: back", text="back")
        prewarm, lost, whole = self.turns()
        self.assertEqual((prewarm["status"], lost["status"], whole["status"]), (200, 400, 200))
        self.assertIsNone(whole["body"].get("previous_response_id"))
        self.assertNotEqual(whole["connection"], lost["connection"])

    def test_no_socket_means_http(self):
        self.sign_in("gpt-5.5")
        self.demo.script({"status": 426, "body": {"text": ""}}, when={"place": "socket"})
        self.answers("Reply with exactly: plain", text="plain")
        self.assertEqual([seen["method"] for seen in self.turns()], ["POST"])

    def test_ends_of_sockets_are_survived(self):
        self.sign_in("gpt-5.5")
        ends = [{"stop": {"at": {"event": 5}, "how": how}} for how in ({"close": {"code": 1011}}, "reset", "fin")]
        for shape in [*ends, {"quirks": [{"after": 5, "what": "binary"}]}, {"quirks": [{"after": 5, "what": "masked"}]}]:
            with self.subTest(shape=shape):
                self.demo.reset()
                self.demo.script({"shape": shape})
                self.answers("Reply with exactly: still here", text="still here")
                self.assertEqual([seen["method"] for seen in self.turns()], ["WS"] * 3)


class Failures(unittest.TestCase):
    """What the client does about failures, compared with what it was seen to do with the same failures."""

    together = 4

    def test_failures_are_taken_as_recorded(self):
        recorded = recordings.experiments()
        if recorded is None:
            self.skipTest("POLYGATE_SHARED does not name the folder with captures/retry-behaviour.json")
        scripts = {experiment: experiment.rules() for experiment in recorded if experiment.short()}
        unscripted = {experiment.name for experiment, rules in scripts.items() if rules is None}
        self.assertEqual(unscripted, recordings.UNSCRIPTED.keys())
        # The longest first, so that none is left at the end.
        chosen = sorted((one for one, rules in scripts.items() if rules), key=lambda one: -one.requests[-1][0])
        self.assertGreater(len(chosen), 40)
        with Outside() as outside:
            self.env = outside.env()
            for experiment, done in zip(chosen, self.all(chosen), strict=True):
                with self.subTest(experiment=experiment.name):
                    self.same(experiment, *done)
            self.assertEqual(outside.hosts, set())

    def all(self, chosen):
        """Runs them, each alone with a backend."""
        self.backends = queue.SimpleQueue()
        for _ in range(self.together):
            backend = Backend()
            self.addCleanup(backend.stop)
            self.backends.put(backend)
        with ThreadPoolExecutor(self.together) as pool:
            return list(pool.map(self.one, chosen))

    def one(self, experiment):
        """The run and what its backend saw of it."""
        backend = self.backends.get()
        try:
            backend.reset()
            for rule in experiment.rules():
                backend.script(**rule)
            return self.run_codex(backend), backend.record(), backend.url
        finally:
            self.backends.put(backend)

    def run_codex(self, backend):
        with tempfile.TemporaryDirectory(prefix="polygate-client-", ignore_cleanup_errors=True) as place:
            home = Path(place).resolve()
            (home / ".codex").mkdir()
            (home / ".codex/auth.json").write_text(backend.login())
            (home / ".codex/config.toml").write_text(CONFIG.format(model="gpt-5.5", url=backend.url, more=""))
            env = {**self.env, "CODEX_CA_CERTIFICATE": backend.certificate, "TZ": "UTC"}
            env["CODEX_REFRESH_TOKEN_URL_OVERRIDE"] = f"{backend.url}/oauth/token"
            return finish([*EXEC, "--json", "Reply with exactly: pong from capture"], alone(home, home, env), home)

    def same(self, experiment, run, record, url):
        ends = [recordings.outcome(json.loads(line)) for line in run.output.splitlines() if line.startswith("{")]
        ends = [end for end in ends if end]
        self.assertTrue(ends, str(run))
        self.assertEqual(plain(ends[-1], url), plain(recordings.outcome(experiment.last)), str(run))
        places = [seen["place"] for seen in record["requests"]]
        counts = {place: places.count(place) for place in experiment.counts()}
        self.assertEqual(counts, experiment.counts(), str(run))
        self.assertEqual(record["offences"], [], str(run))


def plain(end, url="https://chatgpt.com"):
    """An outcome without where the backend is, and without the spaces that one writer of JSON puts and another does not."""
    how, words = end
    return how, words.replace(url, "https://chatgpt.com").replace('": ', '":')
