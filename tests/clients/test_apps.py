"""Codex as an app and as an editor, on its own paths: the server inside the client, as they start and drive it."""

import time

from app import App
from native import BASES, PROVIDER, Native
from outside import Outside
from pictures import address, picture
from program import alone

DAY = 86_400


class Apps(Native):
    """Whole turns, `/status`, pictures and compaction."""

    def test_an_app_and_an_editor_work(self):
        """Both name themselves; the backend hears our own name."""
        front, env = self.front()
        for name in ("codex_vscode", "Codex Desktop"):
            with self.subTest(name=name):
                self.demo.reset()
                self.sign_in("gpt-5.5", BASES, front.url)
                file = f"{name.split()[-1]}.txt"
                with self.app(name, env) as app:
                    self.assertTrue(app.hello["userAgent"].startswith(f"{name}/"), app.hello)
                    self.works(app, app.thread(), f"write {self.folder}/{file} with: written by codex")
                self.written(file, "written by codex", name)
                self.answered(self.accepted(2, name), name)
                self.heard_as("polygate")

    def heard_as(self, name):
        """Every request that says who asks says this."""
        heads = [dict(seen["headers"]) for seen in self.demo.record()["requests"] if seen["headers"]]
        self.assertEqual({head["originator"] for head in heads if "originator" in head}, {name})
        self.assertEqual({head["user-agent"].split("/")[0] for head in heads}, {name})

    def test_an_editor_shows_a_picture_and_compacts(self):
        """All of it on one socket of the backend; what is new is sent, and after a compaction a history begun anew."""
        front, env = self.front()
        (self.folder / "red.png").write_bytes(picture(64))
        self.sign_in("gpt-5.5", BASES, front.url)
        with self.app("codex_vscode", env) as app:
            thread = app.thread()
            self.works(app, thread, "what is this", self.folder / "red.png")
            self.works(app, thread, "count to 4000")
            app.call("thread/compact/start", {"threadId": thread})
            self.assertEqual(app.done()["status"], "completed")
            self.works(app, thread, "Reply with exactly: after")
            items = [told["item"] for told in app.told("item/completed")]
        kinds = [item["type"] for item in items]
        self.assertEqual(kinds.count("contextCompaction"), 1, kinds)
        self.assertIn("168 bytes", [item for item in items if item["type"] == "agentMessage"][0]["text"])
        self.assertEqual(items[-1]["text"], "after")
        prewarm, shown, counted, compacted, after = self.accepted(5, "the editor")
        turns = [seen for seen in self.demo.record()["requests"] if seen["place"] == "responses"]
        self.assertEqual({(seen["method"], seen["connection"]) for seen in turns}, {("WS", turns[0]["connection"])})
        self.assertIs(prewarm["generate"], False)
        parts = [part for item in shown["input"] for part in item.get("content") or []]
        images = [part["image_url"] for part in parts if part["type"] == "input_image"]
        self.assertEqual(images, [address(picture(64))])
        for turn in (shown, counted, compacted):
            self.assertTrue(turn["previous_response_id"])
        self.assertEqual([len(turn["input"]) for turn in (counted, compacted)], [1, 1])
        self.assertEqual(compacted["input"][0]["type"], "compaction_trigger")
        self.assertIsNone(after.get("previous_response_id"))
        self.assertEqual([item["type"] for item in after["input"]].count("compaction"), 1)
        self.assertNotIn("3999 4000", str(after["input"]))

    def test_status_is_the_pools(self):
        """One used-up account stops nobody; when all are, the editor hears of it, and when the first is back."""
        first, *others = accounts = self.own()
        front, env = self.front()
        for config, url in ((BASES, front.url), (PROVIDER, self.demo.url)):
            with self.subTest(url=url):
                back = int(time.time()) + DAY
                for account in accounts:
                    self.use(account, 34.0, back)
                self.use(first, 100.0, back)
                self.measure()
                self.sign_in("gpt-5.5", config, url)
                with self.app("codex_vscode", env) as app:
                    self.assertEqual(self.status(app), (True, 34, None))
                    thread = app.thread()
                    self.works(app, thread, "Reply with exactly: pong")
                    told = [told["rateLimits"] for told in app.told("account/rateLimits/updated")]
                    self.assertEqual({limits["secondary"]["usedPercent"] for limits in told}, {34}, told)
                    for account in others:
                        self.use(account, 100.0, back + DAY)
                    self.measure()
                    self.assertEqual(self.status(app), (False, 100, "rate_limit_reached"))
                    turn = app.turn(thread, "Reply with exactly: pong")
                    self.assertEqual((turn["status"], turn["error"]["codexErrorInfo"]), ("failed", "usageLimitExceeded"))
                    last = app.told("account/rateLimits/updated")[-1]["rateLimits"]
                    self.assertEqual((last["secondary"]["usedPercent"], last["secondary"]["resetsAt"]), (100, back), last)

    def status(self, app):
        """What `/status` shows: whether the client thinks that it may go on, and its week."""
        read = app.call("account/rateLimits/read", None)
        self.assertEqual(len(app.call("model/list", {})["data"]), 9)
        limits = read["rateLimits"]
        return read["ordinaryUsageAllowed"], limits["secondary"]["usedPercent"], limits["rateLimitReachedType"]

    def works(self, app, thread, *said):
        """A whole turn of it."""
        turn = app.turn(thread, *said)
        self.assertEqual(turn["status"], "completed", turn)

    def app(self, name, env):
        """The server inside the client as an app of this name starts it."""
        outside = self.enterContext(Outside())
        self.addCleanup(lambda: self.assertLessEqual(outside.hosts, self.outside))
        return App(name, alone(self.home, self.scratch, {**outside.env(), **env}), self.folder)
