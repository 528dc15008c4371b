"""Codex CLI on its own paths: a client key as its login, and nothing else but base URLs."""

import base64
import contextlib
import json
import struct
import subprocess
import threading
import time
import zlib
from urllib.parse import urlsplit

from demo import fetch
from front import Front
from outside import Outside
from program import LIMIT, Program, alone

ACCOUNT = "0f8fad5b-d9cb-469f-a165-70867728950e"
EXEC = ["codex", "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
# Where there is TLS: base URLs, no more.
BASES = """\
model = "{model}"
chatgpt_base_url = "{url}/backend-api/"
openai_base_url = "{url}/backend-api/codex"
"""
# Over plain http Codex takes a ChatGPT login to a provider only.
PROVIDER = """\
model = "{model}"
chatgpt_base_url = "{url}/backend-api/"
model_provider = "polygate"
[model_providers.polygate]
name = "Polygate"
base_url = "{url}/backend-api/codex"
wire_api = "responses"
requires_openai_auth = true
"""


def part(value):
    """A part of a JWT."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def login(key):
    """The auth.json that `polygate keys create --codex-home` writes for a key."""
    claims = {
        "exp": int(time.time()) + 10**7,
        "email": "test@polygate",
        "https://api.openai.com/auth": {"chatgpt_account_id": ACCOUNT, "chatgpt_plan_type": "pro"},
    }
    token = f"{part({'alg': 'none'})}.{part(claims)}.{key}"
    tokens = {"id_token": token, "access_token": token, "refresh_token": "none", "account_id": ACCOUNT}
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return json.dumps({"auth_mode": "chatgpt", "OPENAI_API_KEY": None, "tokens": tokens, "last_refresh": now})


def png(width, height):
    """A small picture."""
    rows = b"".join(b"\0" + b"\x80\x40\x20" * width for _ in range(height))
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    block = [struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(block)


class NativePaths(Program):
    """`codex exec`, `resume`, pictures, the model menu, `/status`, an app and an editor; the metrics host is the only one asked for outside."""

    outside = frozenset({"ab.chatgpt.com"})

    def sign_in(self, model, config, url):
        self.settings(".codex/auth.json", login(self.demo.key))
        self.settings(".codex/config.toml", config.format(model=model, url=url))

    def says(self, text, *arguments, env=None):
        run = self.launch([*EXEC, *arguments], env or {})
        self.assertIn(text, run.output, str(run))
        return run

    def works(self, model, env=None):
        run = self.launch([*EXEC, f"write {self.folder}/hello.txt with: written by codex"], env or {})
        self.written("hello.txt", "written by codex", run)
        posts = self.accepted(2, run)
        self.answered(posts, run)
        self.assertEqual({post["model"] for post in posts}, {model})
        self.demo.reset()
        run = self.says("again", "resume", "--last", "Reply with exactly: again", env=env)
        posts = self.accepted(1, run)
        # Over a socket the gateway sends on what is new only.
        kinds = {item["type"] for post in posts for item in post["input"]}
        chained = all(post.get("previous_response_id") for post in posts)
        self.assertTrue(chained or kinds & {"function_call_output", "custom_tool_call_output"}, kinds)

    def test_over_tls_only_the_base_urls_change(self):
        with Front(urlsplit(self.demo.url).port, self.scratch) as front:
            self.sign_in("gpt-6-sol", BASES, front.url)
            self.works("gpt-6-sol", {"CODEX_CA_CERTIFICATE": front.certificate})

    def test_compaction_and_prewarm_over_sockets(self):
        """Both sides speak WebSocket: the backend hears of the prewarm, and the client's own compaction reaches it."""
        with Front(urlsplit(self.demo.url).port, self.scratch) as front:
            self.sign_in("gpt-5.5", f"model_auto_compact_token_limit = 9000\n{BASES}", front.url)
            env = {"CODEX_CA_CERTIFICATE": front.certificate}
            self.says("one", "Reply with exactly: one", env=env)
            self.says("two", "resume", "--last", "Reply with exactly: two", env=env)
            run = self.says("three", "resume", "--last", "Reply with exactly: three", env=env)
        self.accepted(4, run)
        turns = [seen for seen in self.demo.record()["requests"] if seen["place"] == "responses"]
        self.assertEqual({seen["method"] for seen in turns}, {"WS"}, str(run))
        self.assertIs(turns[0]["body"].get("generate"), False, str(run))
        self.assertTrue(turns[1]["body"].get("previous_response_id"), str(run))
        inputs = [[item["type"] for item in seen["body"]["input"]] for seen in turns]
        self.assertEqual(sum(kinds[-1:] == ["compaction_trigger"] for kinds in inputs), 1, inputs)
        self.assertEqual(inputs[-1].count("compaction"), 1, inputs)

    def test_a_reply_that_breaks_off_is_asked_for_once_more(self):
        with Front(urlsplit(self.demo.url).port, self.scratch) as front:
            for config, url in ((BASES, front.url), (PROVIDER, self.demo.url)):
                self.sign_in("gpt-5.5", config, url)
                for how in ("reset", "fin"):
                    with self.subTest(url=url, how=how):
                        self.demo.reset()
                        self.demo.script({"shape": {"stop": {"at": {"event": 12}, "how": how}}})
                        run = self.says("40", "count to 40", env={"CODEX_CA_CERTIFICATE": front.certificate})
                        turns = [post for post in self.accepted(2, run) if post.get("generate") is not False]
                        self.assertEqual(len(turns), 2, str(run))

    def test_a_classic_model_over_plain_http(self):
        self.sign_in("gpt-5.5", PROVIDER, self.demo.url)
        self.works("gpt-5.5")

    def test_its_models_are_ours_and_asked_for_once(self):
        self.sign_in("gpt-6-luna", PROVIDER, self.demo.url)
        self.says("pong", "Reply with exactly: pong")
        cache = json.loads((self.home / ".codex/models_cache.json").read_text())
        self.assertEqual(len(cache["models"]), 12)
        key = {"authorization": f"Bearer {self.demo.key}"}
        _, headers, _ = fetch("GET", f"{self.demo.url}/backend-api/codex/models?client_version=0.169.0", key)
        self.assertEqual(cache["etag"], headers["etag"])

    def test_a_picture(self):
        (self.folder / "small.png").write_bytes(png(7, 5))
        with Front(urlsplit(self.demo.url).port, self.scratch) as front:
            for config, url in ((BASES, front.url), (PROVIDER, self.demo.url)):
                with self.subTest(url=url):
                    self.demo.reset()
                    self.sign_in("gpt-5.5", config, url)
                    env = {"CODEX_CA_CERTIFICATE": front.certificate}
                    run = self.says("", "-i", "small.png", "--", "what is this", env=env)
                    inputs = [item for post in self.accepted(1, run) for item in post["input"]]
                    parts = [part for item in inputs for part in item.get("content") or [] if isinstance(part, dict)]
                    pictures = [part for part in parts if part["type"] == "input_image"]
                    self.assertEqual(len(pictures), 1, str(run))
                    self.assertTrue(pictures[0]["image_url"].startswith("data:image/png;base64,"), str(run))

    def test_status_is_the_pools(self):
        self.sign_in("gpt-5.5", PROVIDER, self.demo.url)
        self.measure()
        first, *others = sorted({seen["account"] for seen in self.demo.record()["requests"] if seen["place"] == "usage"})
        self.exhaust(first)
        limits = self.status()
        self.assertEqual((limits["primary"]["usedPercent"], limits["rateLimitReachedType"]), (12, None))
        for account in others:
            self.exhaust(account)
        limits = self.status()
        self.assertEqual((limits["primary"]["usedPercent"], limits["rateLimitReachedType"]), (100, "rate_limit_reached"))

    def exhaust(self, account):
        windows = {"primary": {"used_percent": 100.0, "window_minutes": 300, "reset_at": int(time.time()) + 3600}}
        body = {"account_id": account, "quota": windows}
        status, _, answer = fetch("PATCH", f"{self.demo.offline}/offline/accounts", body=body)
        self.assertEqual(status, 200, answer)
        self.measure()

    def measure(self):
        admin = {"authorization": f"Bearer {self.demo.facts['admin']}"}
        status, _, answer = fetch("GET", f"{self.demo.url}/auth/accounts?quota=fresh", admin)
        self.assertEqual(status, 200, answer)

    def status(self):
        """What `/status` shows, by the server inside the client."""
        with self.app("codex_vscode") as (client, _):
            limits = self.call(client, 2, "account/rateLimits/read", None)["rateLimits"]
            models = self.call(client, 3, "model/list", {})["data"]
        self.assertEqual(len(models), 9, models)
        return limits

    def test_an_app_and_an_editor_work(self):
        """Both drive the server inside the client and name themselves; the backend hears our own name."""
        with Front(urlsplit(self.demo.url).port, self.scratch) as front:
            for name in ("codex_vscode", "Codex Desktop"):
                with self.subTest(name=name):
                    self.demo.reset()
                    self.sign_in("gpt-5.5", BASES, front.url)
                    file = f"{name.split()[-1]}.txt"
                    self.turn(name, f"write {self.folder}/{file} with: written by codex", front.certificate)
                    self.written(file, "written by codex", name)
                    self.answered(self.accepted(2, name), name)
                    self.heard_as("polygate")

    def turn(self, name, prompt, certificate):
        """A whole turn of an app of this name."""
        with self.app(name, {"CODEX_CA_CERTIFICATE": certificate}) as (client, hello):
            self.assertTrue(hello["userAgent"].startswith(f"{name}/"), hello)
            free = {"cwd": str(self.folder), "approvalPolicy": "never", "sandbox": "danger-full-access"}
            thread = self.call(client, 2, "thread/start", free)["thread"]["id"]
            said = [{"type": "text", "text": prompt}]
            self.say(client, {"id": 3, "method": "turn/start", "params": {"threadId": thread, "input": said}})
            done = self.hear(client, lambda message: message.get("method") == "turn/completed")
        self.assertEqual(done["params"]["turn"]["status"], "completed", done)

    def heard_as(self, name):
        """Every request that says who asks says this."""
        heads = [dict(seen["headers"]) for seen in self.demo.record()["requests"] if seen["headers"]]
        self.assertEqual({head["originator"] for head in heads if "originator" in head}, {name})
        self.assertEqual({head["user-agent"].split("/")[0] for head in heads}, {name})

    @contextlib.contextmanager
    def app(self, name, more=None):
        """The server inside the client as an app of this name starts it, and how it greets."""
        with Outside() as outside:
            env = alone(self.home, self.scratch, {**outside.env(), **(more or {})})
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
            client = subprocess.Popen(["codex", "app-server"], env=env, cwd=self.folder, text=True, **pipes)
            limit = threading.Timer(LIMIT, client.kill)
            limit.start()
            try:
                hello = {"clientInfo": {"name": name, "title": "test", "version": "1.2.3"}}
                greeting = self.call(client, 1, "initialize", hello)
                self.say(client, {"method": "initialized"})
                yield client, greeting
            finally:
                limit.cancel()
                client.kill()
                client.communicate()
        self.assertLessEqual(outside.hosts, self.outside)

    def say(self, client, message):
        client.stdin.write(json.dumps(message) + "\n")
        client.stdin.flush()

    def hear(self, client, wanted):
        """The next message that is wanted."""
        for line in client.stdout:
            if wanted(message := json.loads(line)):
                return message
        return self.fail("the client ended")

    def call(self, client, number, method, params):
        self.say(client, {"id": number, "method": method, "params": params})
        return self.hear(client, lambda message: message.get("id") == number and "method" not in message)["result"]
