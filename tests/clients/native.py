"""The ground of the tests on Codex's own paths: a client key as its login, and nothing else but base URLs."""

import base64
import json
import time
from urllib.parse import urlsplit

from demo import Demo, fetch
from front import Front
from program import Program

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
        "https://api.openai.com/auth": {
            "chatgpt_account_id": ACCOUNT,
            "chatgpt_plan_type": "pro",
            "chatgpt_user_id": f"user-{ACCOUNT}",
        },
    }
    token = f"{part({'alg': 'none'})}.{part(claims)}.{key}"
    tokens = {"id_token": token, "access_token": token, "refresh_token": "none", "account_id": ACCOUNT}
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return json.dumps({"auth_mode": "chatgpt", "OPENAI_API_KEY": None, "tokens": tokens, "last_refresh": now})


class Native(Program):
    """The metrics host is the only one asked for outside."""

    outside = frozenset({"ab.chatgpt.com"})

    def own(self):
        """A demo of this test alone: what it does to accounts is of no use to another. Its accounts."""
        self.demo = Demo()
        self.addCleanup(self.demo.stop)
        self.measure()
        return sorted({seen["account"] for seen in self.demo.record()["requests"] if seen["place"] == "usage"})

    def front(self):
        """TLS in front of the demo, and what makes the client trust it."""
        front = self.enterContext(Front(urlsplit(self.demo.url).port, self.scratch))
        return front, {"CODEX_CA_CERTIFICATE": front.certificate}

    def sign_in(self, model, config, url):
        self.settings(".codex/auth.json", login(self.demo.key))
        self.settings(".codex/config.toml", config.format(model=model, url=url))

    def says(self, text, *arguments, env=None):
        run = self.launch([*EXEC, *arguments], env or {})
        self.assertIn(text, run.output, str(run))
        return run

    def use(self, account, percent, until):
        """Sets how much of its week an account has used, and when the week ends; the gateway is not told."""
        windows = {
            "primary": {"used_percent": 12.0, "window_minutes": 300, "reset_at": int(time.time()) + 9000},
            "secondary": {"used_percent": percent, "window_minutes": 10080, "reset_at": int(until)},
        }
        body = {"account_id": account, "quota": windows}
        status, _, answer = fetch("PATCH", f"{self.demo.offline}/offline/accounts", body=body)
        self.assertEqual(status, 200, answer)

    def measure(self):
        """Has the gateway ask for all figures."""
        admin = {"authorization": f"Bearer {self.demo.facts['admin']}"}
        status, _, answer = fetch("GET", f"{self.demo.url}/auth/accounts?quota=fresh", admin)
        self.assertEqual(status, 200, answer)
