"""Gemini CLI: the Gemini API, and the aliases that stand in for Google's model names."""

import json

from program import Program

SETTINGS = {
    "security": {"auth": {"selectedType": "gemini-api-key"}},
    "privacy": {"usageStatisticsEnabled": False},
    "telemetry": {"enabled": False},
    "general": {"enableAutoUpdate": False},
}


class GeminiCli(Program):
    """`gemini -p` writes a file with its tool `write_file`."""

    def gemini(self, *args):
        self.settings(".gemini/settings.json", json.dumps(SETTINGS))
        prompt = f"write {self.folder}/hello.txt with: written by gemini"
        command = ["gemini", "--skip-trust", "--yolo", *args, "-p", prompt]
        env = {"GEMINI_API_KEY": self.demo.key, "GOOGLE_GEMINI_BASE_URL": self.demo.url}
        run = self.launch(command, env)
        self.written("hello.txt", "written by gemini", run)
        posts = self.accepted(2, run)
        self.answered(posts, run)
        return {post["model"] for post in posts}

    def test_a_model_by_name(self):
        self.assertEqual(self.gemini("-m", "gpt-5.5"), {"gpt-5.5"})

    def test_no_model_set(self):
        self.assertEqual(self.gemini(), {"gpt-6-luna"})
