// Responses through the official SDK.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { CLASSIC, MODEL, flatWeather, pixel, start } from '../lib/demo.mjs';

let demo;
let client;
before(async () => {
  demo = await start();
  client = demo.openai();
});
after(() => demo.stop());

for (const model of [MODEL, CLASSIC]) {
  test(`a collected reply from ${model}`, async () => {
    const reply = await client.responses.create({ model, input: 'Reply with exactly: pong' });
    assert.equal(reply.output_text, 'pong');
    assert.equal(reply.status, 'completed');
    assert.equal(reply.usage.total_tokens, reply.usage.input_tokens + reply.usage.output_tokens);
  });

  test(`a streamed reply from ${model}`, async () => {
    const stream = await client.responses.create({ model, input: 'count to 30', stream: true });
    const types = [];
    let text = '';
    for await (const event of stream) {
      types.push(event.type);
      if (event.type === 'response.output_text.delta') text += event.delta;
    }
    assert.equal(types[0], 'response.created');
    assert.equal(types.at(-1), 'response.completed');
    assert.equal(types.filter((type) => /completed$|failed$|incomplete$/.test(type) && !type.includes('_call')).length, 1);
    assert.ok(!types.some((type) => type.startsWith('codex.')), 'codex events stay with Codex clients');
    assert.equal(text.trim(), Array.from({ length: 30 }, (_, i) => i + 1).join(' '));
  });
}

test('the stream helper assembles the final response', async () => {
  const stream = client.responses.stream({ model: MODEL, input: 'Reply with exactly: assembled' });
  const final = await stream.finalResponse();
  assert.equal(final.output_text ?? final.output[0].content[0].text, 'assembled');
  assert.ok(final.output.length > 0, 'the terminal event carries the output');
});

test('parallel tools, with their results sent back', async () => {
  for (const stream of [false, true]) {
    const input = [{ role: 'user', content: 'What is the weather in both Rome and Oslo?' }];
    const body = { model: CLASSIC, input, tools: [flatWeather] };
    const reply = stream ? await client.responses.stream(body).finalResponse() : await client.responses.create(body);
    const calls = reply.output.filter((item) => item.type === 'function_call');
    assert.ok(calls.length >= 2, 'parallel calls');
    for (const call of calls) assert.equal(typeof JSON.parse(call.arguments).city, 'string');
    const results = calls.map((call) => ({ type: 'function_call_output', call_id: call.call_id, output: `rain-${call.call_id}` }));
    // Reasoning items go back with the calls that followed them.
    const last = await client.responses.create({ ...body, input: [...input, ...reply.output, ...results] });
    assert.match(last.output_text, /rain-/);
  }
});

test('structured output parses', async () => {
  const shape = z.object({ title: z.string(), points: z.array(z.number()) });
  const reply = await client.responses.parse({ model: MODEL, input: 'Describe', text: { format: zodTextFormat(shape, 'thing') } });
  assert.doesNotThrow(() => shape.parse(reply.output_parsed));
});

test('an image goes in', async () => {
  const reply = await client.responses.create({
    model: MODEL,
    input: [{ role: 'user', content: [{ type: 'input_text', text: 'What is this?' }, { type: 'input_image', image_url: pixel, detail: 'auto' }] }],
  });
  assert.match(reply.output_text, /image/i);
});

test('an image comes out', async () => {
  const reply = await client.responses.create({ model: MODEL, input: 'draw a circle', tools: [{ type: 'image_generation' }] });
  const image = reply.output.find((item) => item.type === 'image_generation_call');
  assert.equal(Buffer.from(image.result, 'base64').subarray(1, 4).toString(), 'PNG');
});

test('reasoning with its encrypted content', async () => {
  const reply = await client.responses.create({
    model: MODEL,
    input: 'Think about it',
    reasoning: { effort: 'high', summary: 'auto' },
    include: ['reasoning.encrypted_content'],
  });
  const reasoning = reply.output.find((item) => item.type === 'reasoning');
  assert.ok(reasoning.encrypted_content.length > 0);
  assert.ok(reply.usage.output_tokens_details.reasoning_tokens > 0);
});

test('max_output_tokens ends the reply as incomplete', async () => {
  const reply = await client.responses.create({ model: MODEL, input: 'count to 1000', max_output_tokens: 20 });
  assert.equal(reply.status, 'incomplete');
  assert.equal(reply.incomplete_details.reason, 'max_output_tokens');
});

test('models', async () => {
  const list = await client.models.list();
  const ids = list.data.map((model) => model.id);
  assert.ok(ids.includes(MODEL) && ids.includes(CLASSIC), ids.join());
  const one = await client.models.retrieve(MODEL);
  assert.equal(one.id, MODEL);
  await assert.rejects(client.models.retrieve('no-such-model'), { status: 404 });
});
