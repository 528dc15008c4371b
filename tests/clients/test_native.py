"""Codex CLI on its own paths: a client key as its login, and nothing else but base URLs."""

import json
import time
from datetime import UTC, datetime

from demo import fetch
from native import BASES, EXEC, PROVIDER, Native
from pictures import address, picture
from tools import Tools

DAY = 86_400


class NativePaths(Native, Tools):
    """`codex exec`, `resume`, pictures, the model menu, tools of its own, and a pool that is used up."""

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
        front, env = self.front()
        self.sign_in("gpt-6-sol", BASES, front.url)
        self.works("gpt-6-sol", env)

    def test_compaction_and_prewarm_over_sockets(self):
        """Both sides speak WebSocket: the backend hears of the prewarm, and the client's own compaction reaches it."""
        front, env = self.front()
        self.sign_in("gpt-5.5", f"model_auto_compact_token_limit = 9000\n{BASES}", front.url)
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
        for env in self.ways():
            for how in ("reset", "fin"):
                with self.subTest(how=how):
                    self.demo.reset()
                    self.demo.script({"shape": {"stop": {"at": {"event": 12}, "how": how}}})
                    run = self.says("40", "count to 40", env=env)
                    turns = [post for post in self.accepted(2, run) if post.get("generate") is not False]
                    self.assertEqual(len(turns), 2, str(run))

    def ways(self, sockets="gpt-5.5", plain="gpt-5.5"):
        """Signs in either way, one after the other: over sockets, and over plain HTTP; with these models."""
        front, env = self.front()
        for model, config, url in ((sockets, BASES, front.url), (plain, PROVIDER, self.demo.url)):
            self.demo.reset()
            self.sign_in(model, config, url)
            yield env

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
        (self.folder / "small.png").write_bytes(picture(6))
        for env in self.ways():
            run = self.says("", "-i", "small.png", "--", "what is this", env=env)
            inputs = [item for post in self.accepted(1, run) for item in post["input"]]
            parts = [part for item in inputs for part in item.get("content") or [] if isinstance(part, dict)]
            pictures = [part for part in parts if part["type"] == "input_image"]
            self.assertEqual([part["image_url"] for part in pictures], [address(picture(6))], str(run))

    def test_pictures_of_its_own_tool(self):
        for env in self.ways("gpt-6-sol", "gpt-5.5"):
            self.draws(lambda *arguments, env=env: self.says("", *arguments, env=env))

    def test_a_search_of_its_own_tool(self):
        # As a provider of another name it has none.
        front, env = self.front()
        self.sign_in("gpt-6-sol", BASES, front.url)
        self.searches(lambda *arguments: self.says("", *arguments, env=env))

    def test_a_pool_that_is_used_up_is_told_and_serves_again(self):
        """The client hears when the first account is back, and does not try again; once one is back it works."""
        accounts, back = self.own(), time.time() + 2 * DAY
        for env in self.ways():
            for account in accounts:
                self.use(account, 30.0, back)
            self.measure()
            for late, account in enumerate(accounts):
                self.use(account, 100.0, back + late * DAY)
            self.demo.reset()
            # The backend says it, each account once; then the gateway knows.
            asked = self.refused(back, env)
            self.assertEqual(sorted(set(asked)), accounts)
            self.assertEqual(len(asked), len(set(asked)))
            self.demo.reset()
            self.assertEqual(self.refused(back, env), [])
            self.use(accounts[0], 30.0, back)
            self.measure()
            run = self.says("pong", "Reply with exactly: pong", env=env)
            self.accepted(1, run)

    def refused(self, back, env):
        """A run that ends at the limit, and the accounts that it was sent to."""
        run = self.launch([*EXEC, "Reply with exactly: pong"], {"TZ": "UTC", **env}, code=1)
        self.assertIn("hit your usage limit", run.errors, str(run))
        self.assertIn(f"ry again at {spoken(back)}.", run.errors, str(run))
        for word in ("Reconnecting", "Falling back"):
            self.assertNotIn(word, run.errors, str(run))
        return [seen["account"] for seen in self.demo.record()["requests"] if seen["place"] == "responses"]


def spoken(at):
    """A time on another day, as the client says it."""
    at = datetime.fromtimestamp(at, UTC)
    ending = "th" if at.day in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(at.day % 10, "th")
    return f"{at:%b} {at.day}{ending}, {at.year} {at.hour % 12 or 12}:{at:%M %p}"
