"""The tools of Codex that ask its backend by themselves, on paths of their own: pictures and searches."""

from pictures import address, picture

#: What a picture is asked for with besides what was said.
PLAIN = {"background": "opaque", "model": "gpt-image-2", "quality": "auto", "size": "auto"}


class Tools:
    """What tests of Codex say of them, beside `program.Program`."""

    def draws(self, codex):
        """The client asks for pictures itself, keeps them and shows them to its model, which goes on; `codex` runs it."""
        red = picture(64)
        (self.folder / "red.png").write_bytes(red)
        fox = self.drawn(codex("draw a fox"), "generations", {"prompt": "draw a fox"})
        for prompt, words, changed in (
            ("redraw it: in blue", "in blue", fox),
            ("redraw red.png: in green", "in green", address(red)),
        ):
            self.demo.reset()
            run = codex("resume", "--last", prompt)
            self.drawn(run, "edits", {"prompt": words, "images": [{"image_url": changed}]})

    def drawn(self, run, way, asked):
        """The picture that a run asked for in this way; its model was shown it before it had the last word."""
        (seen,) = [seen for seen in self.demo.record()["requests"] if seen["place"] == "images"]
        self.assertEqual((seen["status"], seen["path"].split("/")[-1]), (200, way), str(run))
        self.assertEqual(seen["body"], {**PLAIN, **asked}, str(run))
        self.assertIn("Generated images are saved to", run.output, str(run))
        results = [item["output"] for item in self.accepted(2, run)[-1]["input"] if item["type"].endswith("_output")]
        shown = [part["image_url"] for part in results[-1] if part["type"] == "input_image"]
        files = (self.home / ".codex/generated_images").glob("*/*.png")
        kept = max(files, key=lambda file: file.stat().st_mtime_ns).read_bytes()
        self.assertEqual(shown, [address(kept)], str(run))
        return shown[0]

    def searches(self, codex):
        """The client searches by itself and shows its model what it found."""
        run = codex("search the web for foxes")
        (seen,) = [seen for seen in self.demo.record()["requests"] if seen["place"] == "search"]
        self.assertEqual((seen["status"], seen["path"].split("/")[-1]), (200, "search"), str(run))
        query = [{"q": "search the web for foxes"}]
        self.assertEqual(seen["body"]["commands"], {"search_query": query}, str(run))
        self.assertIn("About search the web for foxes.", run.output, str(run))
        self.accepted(2, run)
