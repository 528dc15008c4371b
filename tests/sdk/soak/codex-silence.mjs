// The real Codex CLI waits through a long silence after `response.created`: the gateway's heartbeats must keep its idle
// timer (300 s by default) from firing, so that the backend sees exactly one request.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { codex } from '../lib/codex.mjs';
import { start } from '../lib/demo.mjs';

const minutes = Number(process.env.SILENCE_MINUTES ?? 6);
const demo = await start('--set', 'upstream.idle_timeout=20m');
const place = mkdtempSync(join(tmpdir(), 'polygate-silence-'));
try {
  const pause = { after: 1, wait: { millis: Math.round(minutes * 60_000) } };
  await demo.script({ shape: { pauses: [pause] } });
  const began = Date.now();
  const run = await codex(demo, place, 'gpt-5.5', 'Reply with exactly: patience');
  const seconds = Math.round((Date.now() - began) / 1000);
  const posts = await demo.posts();
  console.log(`codex ended with ${run.code} after ${seconds} s; the backend saw ${posts.length} request(s)`);
  assert.equal(run.code, 0, run.errors);
  assert.match(run.output, /patience/);
  assert.ok(seconds >= minutes * 60, 'the silence was real');
  assert.equal(posts.length, 1, 'no second request');
} finally {
  await demo.stop();
  rmSync(place, { recursive: true, force: true });
}
