"""Everything that we emit is what the official SDKs' models say it is."""

import base64
import os
import sys
import unittest
from pathlib import Path

import frames
import lists
import protocols
from asks import SCENES
from demo import Demo, fetch
from judge import ALLOWED, Judge

MODEL = "gpt-6-sol"
CORPUS = Path(__file__).parents[2] / "crates" / "proto" / "corpus" / "responses"
# A recording whose pictures were cut by hand and are no base64 any more.
CUT = "responses.image-generation-tool"
judge = Judge()


def tearDownModule():
    """An allowance that nothing needs is out of date."""
    print(f"\n{judge.count} events and bodies read", file=sys.stderr)
    unused = set(ALLOWED) - judge.used
    if unused:
        raise AssertionError(f"judge.ALLOWED has what nothing sends: {sorted(unused)}")


class Judged(unittest.TestCase):
    """Every test starts with a clean sheet and fails with all that was found."""

    def setUp(self):
        judge.problems.clear()
        self.before = judge.count

    def tearDown(self):
        self.assertGreater(judge.count, self.before, "nothing was read")
        self.assertFalse(judge.problems, f"{len(judge.problems)} problems\n\n{judge.report()}")


class Sent(Judged):
    """Answers of the running binary."""

    def setUp(self):
        super().setUp()
        # Recorded failures put accounts out of service: there are enough, and each test has its own.
        self.demo = Demo("--accounts", "60", "--set", "log.level=error", "--set", "ollama.enabled=true", "--set", "ollama.port=0")
        self.addCleanup(self.demo.stop)

    def base(self, protocol):
        return self.demo.facts["ollama"] if protocol is protocols.OLLAMA else self.demo.url

    def send(self, protocol, path, body=None, method="POST", key=None):
        """Status, headers and body of a request in a protocol's own manner."""
        key = self.demo.key if key is None else key
        headers = {protocol.key: f"Bearer {key}" if protocol.key == "authorization" else key}
        if protocol is protocols.MESSAGES:
            headers["anthropic-version"] = "2023-06-01"
        if protocol is protocols.OLLAMA:
            # As the official client says it; it reads pictures in another form than others.
            headers["user-agent"] = "ollama-python/0.6.3 (x86_64 linux) Python/3.13.1"
        return fetch(method, self.base(protocol) + path, headers, body)

    def ask(self, protocol, scene, stream, model=MODEL):
        body = protocol.ask(model, scene, stream)
        return self.send(protocol, protocol.path(model, stream), body)

    def answer(self, protocol, scene, where):
        """Both forms of the answer to a scene, read; their bodies."""
        for stream in (True, False):
            form = f"{where}, {protocol.name}, {'stream' if stream else 'collected'}"
            status, _, body = self.ask(protocol, scene, stream)
            read(protocol, stream and status == 200, status == 200, body, form)
            yield form, status, body

    def test_scenes(self):
        for protocol in protocols.ALL:
            for name, scene in SCENES.items():
                if name == "search" and protocol is protocols.OLLAMA:
                    continue
                for form, status, body in self.answer(protocol, scene, name):
                    sign = protocol.signs.get(name, b"get_weather" if "tool" in name or name == "parallel" else b"")
                    with self.subTest(form):
                        self.assertEqual(status, 200, body)
                        self.assertIn(sign, body.replace(b'": ', b'":'))

    def test_recorded_answers(self):
        """What our corpus holds, refusals and failures too, as the backend's answer."""
        for path in sorted(CORPUS.glob("*.sse")):
            blob = base64.b64encode(path.read_bytes()).decode()
            plan = {"body": {"bytes": blob}, "headers": [["content-type", "text/event-stream"]]}
            self.demo.reset()
            self.demo.script(plan, times=0)
            for protocol in protocols.ALL:
                # A backend that leaves fields out is passed on as it is.
                if (path.stem, protocol) != ("minimal", protocols.RESPONSES):
                    list(self.answer(protocol, SCENES["text"], path.stem))
        self.demo.reset()

    def test_errors(self):
        text = SCENES["text"]
        for protocol in protocols.ALL:
            path = protocol.path(MODEL, False)
            cases = {
                "no such model": self.send(protocol, protocol.path("gpt-nope", False), protocol.ask("gpt-nope", text, False)),
                "nothing asked": self.send(protocol, path, {"model": MODEL, "stream": False}),
                "odd field": self.send(protocol, path, {**protocol.ask(MODEL, text, False), **odd(protocol)}),
                "wrong method": self.send(protocol, path, method="DELETE"),
            }
            if protocol is protocols.OLLAMA:
                # No messages are a wish to load the model.
                del cases["nothing asked"]
            else:
                cases["wrong key"] = self.send(protocol, path, protocol.ask(MODEL, text, False), key="sk-wrong")
            for name, (status, _, body) in cases.items():
                self.assertGreaterEqual(status, 400, f"{protocol.name}: {name}: {body}")
                judge.read(protocol.error, body, f"{protocol.name}, {name}, {status}")

    def test_failures_of_the_backend(self):
        plans = {
            "overloaded": {"status": 503, "body": {"json": {"detail": "overloaded"}}},
            "broken off": {"shape": {"stop": {"at": {"event": 6}, "how": "end"}}},
            "context": {"status": 400, "body": {"json": {"error": {"message": "too long", "code": "context_length_exceeded", "type": "invalid_request_error", "param": "input"}}}},
        }
        for name, plan in plans.items():
            for protocol in protocols.ALL:
                self.demo.reset()
                self.demo.script(plan, times=0)
                list(self.answer(protocol, SCENES["long"], name))
        self.demo.reset()

    def test_model_lists(self):
        anthropic = {"anthropic-version": "2023-06-01"}
        cases = [
            (lists.OPENAI, "/v1/models", {}),
            (lists.OPENAI_MODEL, f"/v1/models/{MODEL}", {}),
            (lists.ANTHROPIC, "/v1/models", anthropic),
            (lists.ANTHROPIC_MODEL, f"/v1/models/{MODEL}", anthropic),
        ]
        for base in ("/v1beta", "/v1"):
            google = {"x-goog-api-key": self.demo.key}
            cases += [(lists.GOOGLE, f"{base}/models", google), (lists.GOOGLE_MODEL, f"{base}/models/{MODEL}", google)]
        for reader, path, headers in cases:
            bearer = {} if "x-goog-api-key" in headers else {"authorization": f"Bearer {self.demo.key}"}
            self.well(reader, fetch("GET", self.demo.url + path, {**bearer, **headers}), f"{path} {sorted(headers)}")
        ours = self.demo.facts["ollama"]
        for reader, path, body in lists.OLLAMA:
            method = "GET" if body is None else "POST"
            self.well(reader, fetch(method, ours + path, body=body and {"model": MODEL, **body}), path)

    def test_counts(self):
        scene = SCENES["tool"]
        body = protocols.MESSAGES.ask(MODEL, scene, False)
        del body["max_tokens"], body["stream"]
        answer = self.send(protocols.MESSAGES, "/v1/messages/count_tokens", body)
        self.well(lists.ANTHROPIC_COUNT, answer, "count_tokens")
        contents = {"contents": protocols.GEMINI.ask(MODEL, scene, False)["contents"]}
        answer = self.send(protocols.GEMINI, f"/v1beta/models/{MODEL}:countTokens", contents)
        self.well(lists.GOOGLE_COUNT, answer, "countTokens")

    def test_generate(self):
        """Ollama's other endpoint."""
        for stream in (True, False):
            body = {"model": MODEL, "prompt": SCENES["text"]["prompt"], "stream": stream}
            status, _, body = self.send(protocols.OLLAMA, "/api/generate", body)
            self.assertEqual(status, 200, body)
            for line in frames.lines(body):
                judge.read(lists.OLLAMA_GENERATE, line, "/api/generate")

    def test_arrays(self):
        """Gemini's other streaming form."""
        for name, scene in SCENES.items():
            body = protocols.GEMINI.ask(MODEL, scene, True)
            status, _, body = self.send(protocols.GEMINI, f"/v1beta/models/{MODEL}:streamGenerateContent", body)
            self.assertEqual(status, 200, body)
            for value in frames.array(body):
                judge.read(protocols.GEMINI.event, value, f"{name}, array")

    def well(self, reader, answer, where):
        """An answer of status 200 with a body that is read."""
        status, _, body = answer
        self.assertEqual(status, 200, f"{where}: {body}")
        judge.read(reader, body, where)


class Written(Judged):
    """What `proto` writes of each stream of the corpora, from every protocol to every protocol."""

    folder = Path(os.environ["POLYGATE_WRITTEN"])

    def test_all(self):
        for protocol in protocols.ALL:
            paths = sorted((self.folder / protocol.name).iterdir())
            self.assertTrue(paths, protocol.name)
            if protocol is protocols.GEMINI:
                paths = [path for path in paths if not path.name.startswith(CUT)]
            for path in paths:
                self.file(protocol, path)

    def file(self, protocol, path):
        """One file of `dump`: `WIRE.NAME.VARIANT.FORM`."""
        _, _, variant, form = path.name.rsplit(".", 3)
        body, where = path.read_bytes(), f"{protocol.name}/{path.name}"
        if form == "error":
            judge.read(protocol.error, body, where)
        elif variant == "array" and form == "stream":
            # An error that comes later is the last element.
            for value in frames.array(body):
                judge.read(protocol.error if value.startswith(b'{"error"') else protocol.event, value, where)
        elif variant == "generate":
            for line in frames.lines(body):
                judge.read(protocol.error if line.startswith(b'{"error"') else lists.OLLAMA_GENERATE, line, where)
        else:
            read(protocol, form == "stream", True, body, where)


def odd(protocol):
    """A field of the wrong type."""
    return {"contents": 7} if protocol is protocols.GEMINI else {"input": 7, "messages": 7}


def read(protocol, stream, well, body, where):
    """One answer's body."""
    if stream:
        for name, data in protocol.cut(body):
            failed = data.startswith(b'{"error"')
            value = judge.read(protocol.error if failed else protocol.event, data, where)
            kind = getattr(value, "type", name)
            if name is not None and kind != name:
                judge.note(f"an event named {name} is a {kind}", where, data)
    else:
        judge.read(protocol.whole if well else protocol.error, body, where)
