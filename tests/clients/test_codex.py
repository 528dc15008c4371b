"""Codex CLI: the Responses API as a custom provider."""

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


class CodexCli(Program):
    """`codex exec` writes a file with the tool that its model has for it."""

    outside = frozenset({"github.com", "api.github.com", "chatgpt.com", "ab.chatgpt.com"})

    def codex(self, model):
        self.settings(".codex/config.toml", CONFIG.format(model=model, url=self.demo.url))
        prompt = f"write {self.folder}/hello.txt with: written by codex"
        command = ["codex", "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", prompt]
        run = self.launch(command, {"POLYGATE_KEY": self.demo.key})
        self.written("hello.txt", "written by codex", run)
        posts = self.accepted(2, run)
        self.answered(posts, run)
        self.assertEqual({post["model"] for post in posts}, {model})

    def test_a_classic_model(self):
        self.codex("gpt-5.5")

    def test_a_lite_model(self):
        self.codex("gpt-6-sol")
