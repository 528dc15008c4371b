"""Claude Code: the Messages API, and the aliases that stand in for Anthropic's model names."""

import json

from program import Program


class ClaudeCode(Program):
    """`claude -p` writes a file with its tool `Write`."""

    def claude(self, *args, **env):
        prompt = f"write {self.folder}/hello.txt with: written by claude"
        command = ["claude", "-p", prompt, "--output-format", "json", "--permission-mode", "acceptEdits"]
        command += ["--allowedTools", "Write", *args]
        quiet = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}
        run = self.launch(command, {"ANTHROPIC_BASE_URL": self.demo.url, **quiet, **env})
        result = json.loads(run.output)
        self.assertFalse(result["is_error"], str(run))
        self.written("hello.txt", "written by claude", run)
        posts = self.accepted(2, run)
        self.answered(posts, run)
        return {post["model"] for post in posts}

    def test_a_model_by_name(self):
        models = self.claude("--model", "gpt-5.5", ANTHROPIC_AUTH_TOKEN=self.demo.key)
        self.assertEqual(models, {"gpt-5.5"})

    def test_no_model_set(self):
        models = self.claude(ANTHROPIC_API_KEY=self.demo.key)
        self.assertEqual(models, {"gpt-6.1-sol"})
