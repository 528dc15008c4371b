// Stored responses and the WebSocket through the official SDK, for every kind of upstream.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import { ResponsesWS } from 'openai/resources/responses/ws';
import { CLASSIC, MODEL, flatWeather, start } from '../lib/demo.mjs';

const RELAYS = ['chat:llama-4-scout', 'responses:gpt-5-mini', 'messages:claude-haiku-5', 'gemini:gemini-3.8-flash'];

let demo;
let client;
before(async () => {
  demo = await start();
  client = demo.openai();
  for (const wire of ['chat', 'responses', 'messages', 'gemini']) await demo.relay(wire);
});
after(() => demo.stop());

/** What this request came to, with a weather report for each call that the model makes. */
async function loop(create, body) {
  let reply = await create(body);
  for (let turn = 0; turn < 4; turn += 1) {
    const calls = reply.output.filter((item) => item.type === 'function_call');
    if (calls.length === 0) return reply;
    const input = calls.map((call) => ({ type: 'function_call_output', call_id: call.call_id, output: `rain-${call.call_id}` }));
    reply = await create({ model: body.model, tools: body.tools, input, previous_response_id: reply.id });
  }
  assert.fail('the model calls tools without an end');
}

for (const model of [MODEL, CLASSIC, ...RELAYS]) {
  test(`a tool loop goes on from stored responses of ${model}`, async () => {
    const body = { model, input: 'What is the weather in Rome?', tools: [flatWeather] };
    const collected = await loop((body) => client.responses.create(body), body);
    assert.match(collected.output_text, /rain-/);
    const streamed = await loop((body) => client.responses.stream(body).finalResponse(), body);
    assert.match(said(streamed), /rain-/);
  });
}

test('a conversation goes on at another upstream', async () => {
  let previous;
  for (const [at, model] of [MODEL, ...RELAYS, CLASSIC].entries()) {
    const reply = await client.responses.create({ model, input: `Reply with exactly: word${at}`, previous_response_id: previous });
    assert.equal(reply.output_text, `word${at}`, model);
    assert.equal(reply.previous_response_id, previous ?? null);
    previous = reply.id;
  }
  const words = [];
  for await (const item of client.responses.inputItems.list(previous, { limit: 2, order: 'asc' })) {
    if (item.type === 'message') words.push(item.content[0].text);
  }
  const both = [0, 1, 2, 3, 4].flatMap((at) => [`Reply with exactly: word${at}`, `word${at}`]);
  assert.deepEqual(words, [...both, 'Reply with exactly: word5']);
});

test('a response is retrieved, cancelled and deleted', async () => {
  const reply = await client.responses.create({ model: MODEL, input: 'Reply with exactly: kept', store: true });
  assert.equal(reply.store, true);
  const again = await client.responses.retrieve(reply.id);
  assert.deepEqual([again.id, again.output_text], [reply.id, 'kept']);
  await assert.rejects(client.responses.cancel(reply.id), OpenAI.BadRequestError);
  await client.responses.delete(reply.id);
  await assert.rejects(client.responses.retrieve(reply.id), OpenAI.NotFoundError);
  await assert.rejects(client.responses.cancel(reply.id), OpenAI.NotFoundError);
  const lost = client.responses.create({ model: MODEL, input: 'x', previous_response_id: reply.id });
  await assert.rejects(lost, (error) => error instanceof OpenAI.BadRequestError && error.code === 'previous_response_not_found');
});

test('a running response is cancelled', async () => {
  await demo.script({ shape: { pauses: [{ after: 8, wait: 'forever' }] } });
  const stream = await client.responses.create({ model: MODEL, input: 'count to 9', stream: true });
  let last;
  for await (const event of stream) {
    last = event;
    if (event.type === 'response.created') {
      const cancelled = await client.responses.cancel(event.response.id);
      assert.equal(cancelled.status, 'cancelled');
    }
  }
  assert.equal(last.response.status, 'cancelled');
});

/** What a response says, with or without the convenience of the SDK. */
function said(response) {
  const messages = response.output.filter((item) => item.type === 'message');
  return messages.flatMap((message) => message.content).map((part) => part.text).join('');
}

/** Sends a request on an open socket; the terminal event. */
function ask(socket, body) {
  return new Promise((resolve, reject) => {
    const done = (event) => {
      if (!/^response\.(completed|failed|incomplete)$/.test(event.type)) return;
      socket.off('event', done);
      resolve(event);
    };
    socket.on('event', done);
    socket.once('error', reject);
    socket.send({ type: 'response.create', ...body });
  });
}

for (const model of [MODEL, CLASSIC, ...RELAYS]) {
  test(`the WebSocket serves ${model}`, async () => {
    const socket = new ResponsesWS(client);
    try {
      const create = async (body) => (await ask(socket, { ...body, store: false })).response;
      const reply = await loop(create, { model, input: 'What is the weather in Rome?', tools: [flatWeather] });
      assert.match(said(reply), /rain-/);
      const next = await create({ model, input: 'Reply with exactly: next', previous_response_id: reply.id });
      assert.equal(said(next), 'next');
    } finally {
      socket.close();
    }
  });
}

test('the WebSocket refuses in its own events', async () => {
  const socket = new ResponsesWS(client);
  const failed = await ask(socket, { model: 'no-such-model', input: 'x' }).catch((error) => error);
  assert.equal(failed.error.status, 404);
  assert.equal(failed.error.error.code, 'model_not_found');
  socket.close();
  const stranger = new ResponsesWS(demo.openai({ apiKey: 'sk-nobody' }));
  const refused = await ask(stranger, { model: MODEL, input: 'x' }).catch((error) => error);
  assert.match(refused.message, /401/);
});
