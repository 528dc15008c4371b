"""aider: Chat Completions without tools; edits come as blocks of text."""

import os

from program import Program

QUIET = ["--no-git", "--yes-always", "--no-check-update", "--no-show-model-warnings", "--analytics-disable", "--no-pretty"]


class Aider(Program):
    """`aider --message` changes a file that is there."""

    outside = frozenset({"raw.githubusercontent.com"})

    def aider(self, edit_format, prompt):
        path = self.folder / "hello.txt"
        path.write_text("a first line\nan old line\na last line\n")
        command = [os.environ["AIDER_BIN"], "--model", "openai/gpt-5.5", "--edit-format", edit_format, *QUIET]
        env = {"OPENAI_API_BASE": f"{self.demo.url}/v1", "OPENAI_API_KEY": self.demo.key}
        run = self.launch([*command, "--message", prompt, "hello.txt"], {**env, "LITELLM_LOCAL_MODEL_COST_MAP": "True"})
        self.accepted(1, run)
        return path.read_text(), run

    def test_blocks(self):
        text, run = self.aider("diff", "edit hello.txt: an old line -> a new line")
        self.assertEqual(text, "a first line\na new line\na last line\n", str(run))

    def test_whole_files(self):
        text, run = self.aider("whole", "write hello.txt with: written by aider")
        self.assertEqual(text, "written by aider\n", str(run))
