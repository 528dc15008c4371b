"""opencode: Chat Completions, Responses or Messages, by the package that its provider names."""

import json
import subprocess
from urllib.parse import urlsplit

from program import Program


def registry():
    """The host that npm installs from: opencode looks there for plug-ins."""
    address = subprocess.run(["npm", "config", "get", "registry"], capture_output=True, text=True, check=True).stdout
    return urlsplit(address.strip()).hostname


class OpenCode(Program):
    """`opencode run` writes a file; it asks for a title in a second request at the same time."""

    outside = frozenset({registry(), "models.dev"})

    def opencode(self, package, model):
        provider = {
            "npm": package,
            "name": "Polygate",
            "options": {"baseURL": f"{self.demo.url}/v1", "apiKey": self.demo.key},
            "models": {model: {"name": model}},
        }
        config = {"provider": {"polygate": provider}, "model": f"polygate/{model}"}
        config |= {"autoupdate": False, "share": "disabled"}
        self.settings(".config/opencode/opencode.json", json.dumps(config))
        prompt = f"write {self.folder}/hello.txt with: written by opencode"
        # An argument with spaces would come out in quotation marks.
        run = self.launch(["opencode", "run", *prompt.split()], {"OPENCODE_DISABLE_MODELS_FETCH": "1"})
        self.written("hello.txt", "written by opencode", run)
        posts = self.accepted(2, run)
        self.answered(posts, run)
        self.assertEqual({post["model"] for post in posts}, {model})

    def test_chat_completions(self):
        self.opencode("@ai-sdk/openai-compatible", "gpt-5.5")

    def test_messages(self):
        self.opencode("@ai-sdk/anthropic", "gpt-6-sol")
