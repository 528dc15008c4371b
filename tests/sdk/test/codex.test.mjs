// The real Codex CLI with the gateway as its provider.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { after, before, test } from 'node:test';
import { codex } from '../lib/codex.mjs';
import { start } from '../lib/demo.mjs';

let demo;
let place;
before(async () => {
  demo = await start();
  place = mkdtempSync(join(tmpdir(), 'polygate-codex-'));
});
after(async () => {
  await demo.stop();
  rmSync(place, { recursive: true, force: true });
});

for (const model of ['gpt-5.5', 'gpt-6-sol']) {
  test(`a turn with ${model}`, async () => {
    const run = await codex(demo, place, model, 'Reply with exactly: pong');
    assert.equal(run.code, 0, run.errors);
    assert.match(run.output, /pong/);
  });
}

test('a turn with a tool call that writes a file', async () => {
  const run = await codex(demo, place, 'gpt-5.5', 'run: echo written-by-codex > proof.txt');
  assert.equal(run.code, 0, run.errors);
  assert.match(readFileSync(join(place, 'proof.txt'), 'utf8'), /written-by-codex/);
});
