"""One run of a command-line program against a demo: a fresh home, a fresh folder, no way out."""

import os
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path

from demo import Demo
from outside import Outside

BIN = Path(__file__).parent / "node_modules" / ".bin"
LIMIT = 240


class Run:
    """What a program left behind."""

    def __init__(self, code, output, errors, hosts):
        self.code, self.output, self.errors, self.hosts = code, output, errors, hosts

    def __str__(self):
        return f"exit code {self.code}\n--- stdout\n{self.output}\n--- stderr\n{self.errors}"


class Program(unittest.TestCase):
    """The ground of each program's tests; `outside` lists the hosts that it is known to ask for and can do without."""

    outside = frozenset()

    @classmethod
    def setUpClass(cls):
        cls.demo = Demo()
        cls.addClassCleanup(cls.demo.stop)

    def setUp(self):
        place = tempfile.TemporaryDirectory(prefix="polygate-client-", ignore_cleanup_errors=True)
        self.addCleanup(place.cleanup)
        root = Path(place.name).resolve()
        self.home, self.folder, self.scratch = root / "home", root / "work", root / "tmp"
        for folder in (self.home, self.folder, self.scratch):
            folder.mkdir()
        self.demo.reset()

    def settings(self, path, text):
        """Writes a file below the home."""
        path = self.home / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def launch(self, command, env, code=0):
        """Runs a program to its end; fails when it takes too long, ends otherwise than it should or asks for a host it should not."""
        with Outside() as outside:
            run = finish(command, alone(self.home, self.scratch, {**outside.env(), **env}), self.folder)
            run.hosts = set(outside.hosts)
        self.assertEqual(run.code, code, str(run))
        self.assertLessEqual(run.hosts, self.outside, f"it asked for hosts outside\n{run}")
        return run

    def written(self, name, text, run):
        """The file is there and says this."""
        path = self.folder / name
        self.assertTrue(path.exists(), f"there is no {name}\n{run}")
        self.assertEqual(path.read_text().strip(), text, str(run))

    def accepted(self, least, run):
        """The model requests that the strict backend took; one that it refused fails."""
        record = self.demo.record()
        posts = [seen for seen in record["requests"] if seen["place"] == "responses"]
        self.assertEqual([seen["status"] for seen in posts], [200] * len(posts), str(run))
        self.assertEqual(record["offences"], [], str(run))
        self.assertGreaterEqual(len(posts), least, str(run))
        return [seen["body"] for seen in posts]

    def answered(self, posts, run):
        """Some request brought the result of a tool back."""
        kinds = {item.get("type") for post in posts for item in post["input"]}
        self.assertTrue(kinds & {"function_call_output", "custom_tool_call_output"}, f"{kinds}\n{run}")


def alone(home, scratch, env):
    """The environment of a program that knows nothing of who runs it."""
    return {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "TMPDIR": str(scratch),
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
        **env,
    }


def finish(command, env, folder):
    """Runs a command in a process group of its own, which ends with it."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    child = subprocess.Popen(command, env=env, cwd=folder, text=True, start_new_session=True, **pipes)
    try:
        output, errors = child.communicate(timeout=LIMIT)
        return Run(child.returncode, output, errors, set())
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        output, errors = child.communicate()
        return Run(f"none within {LIMIT} s", output, errors, set())
