// Real clients wait through a long silence in the middle of a reply, all at once: the gateway's heartbeats must keep their idle
// timers from firing (Codex's is 300 s), so that the backend sees one request of each and each gets its whole answer.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ResponsesWS } from 'openai/resources/responses/ws';
import { codex, run } from '../lib/codex.mjs';
import { CLASSIC, MODEL, start } from '../lib/demo.mjs';

const minutes = Number(process.env.SILENCE_MINUTES ?? 10);
const demo = await start('--set', 'upstream.idle_timeout=20m');
const place = mkdtempSync(join(tmpdir(), 'polygate-silence-'));

const ask = (name) => `Reply with exactly: patience of ${name}`;
const user = (name) => [{ role: 'user', content: ask(name) }];

/** The text of a stream of events. */
async function gather(stream, text) {
  let all = '';
  for await (const event of await stream) all += text(event) ?? '';
  return all;
}

/** A program's last words; it must end well. */
async function spoken(ended) {
  const { code, output, errors } = await ended;
  assert.equal(code, 0, errors);
  assert.doesNotMatch(errors, /reconnect/i);
  return output;
}

const clients = {
  codex: (name) => spoken(codex(demo, folder(name), CLASSIC, ask(name))),
  'codex-socket': (name) => spoken(codex(demo, folder(name), MODEL, ask(name), 'supports_websockets = true')),
  claude: (name) => spoken(claude(name)),
  chat: (name) =>
    gather(
      demo.openai().chat.completions.create({ model: MODEL, stream: true, messages: user(name) }),
      (chunk) => chunk.choices[0]?.delta.content,
    ),
  responses: (name) =>
    gather(demo.openai().responses.create({ model: MODEL, stream: true, input: ask(name) }), (event) =>
      event.type === 'response.output_text.delta' ? event.delta : '',
    ),
  'responses-socket': (name) => overSocket(name),
  messages: (name) =>
    gather(
      demo.anthropic().messages.create({ model: MODEL, stream: true, max_tokens: 1000, messages: user(name) }),
      (event) => (event.type === 'content_block_delta' ? event.delta.text : ''),
    ),
  gemini: (name) =>
    gather(demo.google().models.generateContentStream({ model: MODEL, contents: ask(name) }), (chunk) => chunk.text),
};

function folder(name) {
  const path = join(place, name);
  mkdirSync(path, { recursive: true });
  return path;
}

/** Claude Code, whose program is given. */
function claude(name) {
  const home = folder(name);
  const env = {
    PATH: process.env.PATH,
    HOME: home,
    ANTHROPIC_BASE_URL: demo.url,
    ANTHROPIC_AUTH_TOKEN: demo.key,
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    DISABLE_AUTOUPDATER: '1',
    HTTPS_PROXY: 'http://127.0.0.1:9',
    NO_PROXY: '127.0.0.1,localhost',
  };
  return run(spawn(process.env.CLAUDE_BIN, ['-p', ask(name), '--model', CLASSIC], { cwd: home, env, stdio: ['ignore', 'pipe', 'pipe'] }));
}

/** The official client's own WebSocket. */
async function overSocket(name) {
  const socket = new ResponsesWS(demo.openai());
  const ended = new Promise((resolve, reject) => {
    let text = '';
    socket.on('error', reject);
    socket.on('event', (event) => {
      if (event.type === 'response.output_text.delta') text += event.delta;
      if (event.type === 'response.completed') resolve(text);
    });
  });
  socket.send({ type: 'response.create', model: MODEL, input: ask(name), store: false });
  const text = await ended;
  socket.close();
  return text;
}

try {
  const pause = { after: 6, wait: { millis: Math.round(minutes * 60_000) } };
  const names = Object.keys(clients);
  await demo.script({ shape: { pauses: [pause] } }, { when: { prompt: 'patience of' }, times: 0 });
  const began = Date.now();
  const told = names.map(async (name) => {
    const text = await clients[name](name);
    const seconds = Math.round((Date.now() - began) / 1000);
    console.log(`${name}: "${text.trim().split('\n').at(-1)}" after ${seconds} s`);
    assert.match(text, new RegExp(`patience of ${name}\\b`), name);
    assert.ok(seconds >= minutes * 60, `${name}: the silence was real`);
  });
  const failed = (await Promise.allSettled(told)).filter((end) => end.status === 'rejected');
  assert.deepEqual(failed.map((end) => String(end.reason)), []);
  const posts = (await demo.posts()).filter((seen) => seen.body.generate !== false);
  for (const name of names) {
    const own = posts.filter((seen) => JSON.stringify(seen.body.input).includes(`${ask(name)}"`));
    console.log(`${name}: ${own.length} request(s), by ${own.map((seen) => seen.method)}`);
    assert.equal(own.length, 1, `${name}: no second request`);
  }
} finally {
  await demo.stop();
  rmSync(place, { recursive: true, force: true });
}
