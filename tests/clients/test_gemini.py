"""Gemini CLI: the Gemini API, and the aliases that stand in for Google's model names."""

import json

from program import Program

SETTINGS = {
    "security": {"auth": {"selectedType": "gemini-api-key"}},
    "privacy": {"usageStatisticsEnabled": False},
    "telemetry": {"enabled": False},
    "general": {"enableAutoUpdate": False},
}

SMALL, LARGE = "gpt-6-luna", "gpt-6.1-sol"


class GeminiCli(Program):
    """`gemini -p` writes a file with its tool `write_file`."""

    def gemini(self, name, *args):
        self.settings(".gemini/settings.json", json.dumps(SETTINGS))
        prompt = f"write {name} with: written by gemini"
        command = ["gemini", "--skip-trust", "--yolo", *args, "-p", prompt]
        env = {"GEMINI_API_KEY": self.demo.key, "GOOGLE_GEMINI_BASE_URL": self.demo.url}
        run = self.launch(command, env)
        self.written(name, "written by gemini", run)
        posts = self.accepted(2, run)
        self.answered(posts, run)
        return [post["model"] for post in posts]

    def test_a_model_by_name(self):
        self.assertEqual(self.gemini("hello.txt", "-m", "gpt-5.5"), ["gpt-5.5"] * 2)

    # With no model set, a small one says how hard the prompt is, here the number in it; that decides who answers.
    def test_no_model_set_and_an_easy_prompt(self):
        self.assertEqual(self.gemini("easy-1.txt"), [SMALL] * 3)

    def test_no_model_set_and_a_hard_prompt(self):
        self.assertEqual(self.gemini("hard-99.txt"), [SMALL, LARGE, LARGE])
