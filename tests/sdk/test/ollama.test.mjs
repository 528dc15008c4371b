// Ollama's own SDK at the listener for it: what the other SDKs have no word for.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import { MODEL, OLLAMA, broken, start, torn, usageLimit } from '../lib/demo.mjs';
import { gather } from '../lib/speakers/ollama.mjs';

let demo;
let client;
before(async () => {
  demo = await start('--accounts', '1', ...OLLAMA);
  client = demo.ollamas();
});
after(() => demo.stop());

const ask = (content, rest = {}) => ({ model: MODEL, messages: [{ role: 'user', content }], ...rest });
const lastPost = async () => (await demo.posts()).at(-1).body;

test('models', async () => {
  const { models } = await client.list();
  const names = models.map((model) => model.model);
  assert.ok(names.some((name) => name.replace(':latest', '') === MODEL), names.join());
  assert.ok(models.every((model) => model.name && model.details && model.digest && model.modified_at));
  const shown = await client.show({ model: MODEL });
  assert.ok(shown.capabilities.includes('completion') && shown.capabilities.includes('tools'), shown.capabilities.join());
  const window = Object.entries(shown.model_info).find(([key]) => key.endsWith('.context_length'));
  assert.ok(window[1] >= 200_000, 'the true window');
  await assert.rejects(client.show({ model: 'no-such-model' }), (error) => error.status_code === 404);
  assert.ok(Array.isArray((await client.ps()).models));
  assert.match((await client.version()).version, /^\d+\.\d+\.\d+/);
});

test('a name with a tag', async () => {
  assert.equal((await client.chat(ask('Reply with exactly: pong', { model: `${MODEL}:latest` }))).message.content, 'pong');
});

test('thinking', async () => {
  for (const think of [true, 'high']) {
    const whole = await client.chat(ask('hello', { think }));
    assert.ok(whole.message.thinking.length > 0 && whole.message.content.length > 0);
    const { message } = await gather(await client.chat(ask('hello', { think, stream: true })));
    assert.ok(message.thinking.length > 0 && message.content.length > 0);
  }
  assert.equal((await lastPost()).reasoning.effort, 'high');
  const off = await client.chat(ask('hello', { think: false }));
  assert.ok(!off.message.thinking);
});

test('any JSON', async () => {
  const reply = await client.chat(ask('Describe something as JSON', { format: 'json' }));
  assert.doesNotThrow(() => JSON.parse(reply.message.content));
});

test('limits and stop sequences are honoured here', async () => {
  const long = await client.chat(ask('count to 1000', { options: { num_predict: 20 } }));
  assert.equal(long.done_reason, 'length');
  assert.ok(long.message.content.trim().split(/\s+/).length <= 20);
  const short = await client.chat(ask('count to 50', { options: { stop: ['13'] } }));
  assert.deepEqual([short.message.content.trim(), short.done_reason], ['1 2 3 4 5 6 7 8 9 10 11 12', 'stop']);
});

test('generate', async () => {
  const whole = await client.generate({ model: MODEL, prompt: 'Reply with exactly: pong', system: 'be short' });
  assert.deepEqual([whole.response, whole.done, whole.done_reason], ['pong', true, 'stop']);
  let text = '';
  for await (const part of await client.generate({ model: MODEL, prompt: 'count to 5', stream: true })) text += part.response;
  assert.equal(text.trim(), '1 2 3 4 5');
});

test('figures of time', async () => {
  const reply = await client.chat(ask('count to 20'));
  for (const key of ['total_duration', 'prompt_eval_duration', 'eval_duration']) assert.ok(reply[key] > 0, key);
  assert.ok(reply.total_duration >= reply.eval_duration);
  assert.ok(!Number.isNaN(Date.parse(reply.created_at)));
});

test('OpenAI at the same address', async () => {
  const openai = new OpenAI({ baseURL: `${demo.ollama}/v1`, apiKey: 'ollama', maxRetries: 0 });
  const reply = await openai.chat.completions.create(ask('Reply with exactly: pong'));
  assert.equal(reply.choices[0].message.content, 'pong');
});

test('web pages of other places are kept out', async () => {
  const answer = await fetch(`${demo.ollama}/api/tags`, { headers: { origin: 'https://evil.example' } });
  assert.equal(answer.status, 403);
});

for (const stream of [false, true]) {
  const form = stream ? 'streamed' : 'collected';
  const call = async (body = {}, from = client) => {
    const reply = await from.chat({ ...ask('count to 20'), stream, ...body });
    return stream ? gather(reply) : reply;
  };
  const status = (code) => (error) => {
    assert.equal(error.status_code, code, error.message);
    assert.ok(error.message.length > 0);
    return true;
  };

  test(`404, ${form}`, () => assert.rejects(call({ model: 'no-such-model' }), status(404)));

  test(`400, ${form}`, () => assert.rejects(call({ messages: [{ role: 'user', content: 7 }] }), status(400)));

  test(`5xx after its one more attempt, ${form}`, async () => {
    await demo.script(broken, { times: 2 });
    await assert.rejects(call(), (error) => error.status_code >= 500);
  });

  test(`429, ${form}`, async () => {
    const own = await start('--accounts', '1', ...OLLAMA);
    try {
      await own.script(usageLimit(3600));
      await assert.rejects(call({}, own.ollamas()), status(429));
    } finally {
      await own.stop();
    }
  });
}

test('a failure in mid-stream raises', async () => {
  await demo.script(torn);
  await assert.rejects(async () => gather(await client.chat(ask('count to 20', { stream: true }))));
});
