// Chat Completions through the official SDK.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { CLASSIC, MODEL, pixel, start, weather } from '../lib/demo.mjs';

let demo;
let client;
before(async () => {
  demo = await start();
  client = demo.openai();
});
after(() => demo.stop());

const ask = (content, rest = {}) => ({ model: MODEL, messages: [{ role: 'user', content }], ...rest });

for (const model of [MODEL, CLASSIC]) {
  test(`a collected reply from ${model}`, async () => {
    const reply = await client.chat.completions.create(ask('Reply with exactly: pong', { model }));
    assert.equal(reply.object, 'chat.completion');
    assert.equal(reply.choices[0].message.content, 'pong');
    assert.equal(reply.choices[0].finish_reason, 'stop');
    assert.equal(reply.usage.total_tokens, reply.usage.prompt_tokens + reply.usage.completion_tokens);
    assert.ok(reply.usage.prompt_tokens > 0 && reply.usage.completion_tokens > 0);
  });

  test(`a streamed reply from ${model}`, async () => {
    const stream = await client.chat.completions.create(
      ask('count to 30', { model, stream: true, stream_options: { include_usage: true } }),
    );
    let text = '';
    let usage;
    const finishes = [];
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta?.content ?? '';
      if (chunk.choices[0]?.finish_reason) finishes.push(chunk.choices[0].finish_reason);
      usage = chunk.usage ?? usage;
    }
    assert.equal(text.trim(), Array.from({ length: 30 }, (_, i) => i + 1).join(' '));
    assert.deepEqual(finishes, ['stop']);
    assert.ok(usage.completion_tokens > 0);
  });
}

test('no usage chunk unless it was asked for', async () => {
  const stream = await client.chat.completions.create(ask('count to 3', { stream: true }));
  for await (const chunk of stream) assert.equal(chunk.choices.length, 1);
});

test('parallel tools, with their results sent back', async () => {
  for (const stream of [false, true]) {
    const messages = [{ role: 'user', content: 'What is the weather in both Rome and Oslo?' }];
    const body = { model: CLASSIC, messages, tools: [weather] };
    const reply = stream
      ? await client.chat.completions.stream(body).finalChatCompletion()
      : await client.chat.completions.create(body);
    const message = reply.choices[0].message;
    assert.equal(reply.choices[0].finish_reason, 'tool_calls');
    assert.ok(message.tool_calls.length >= 2, 'parallel calls');
    const results = message.tool_calls.map((call) => {
      assert.equal(call.type, 'function');
      assert.equal(call.function.name, 'get_weather');
      const input = JSON.parse(call.function.arguments);
      assert.deepEqual([typeof input.city, Number.isInteger(input.days)], ['string', true]);
      return { role: 'tool', tool_call_id: call.id, content: `sunny-${call.id}` };
    });
    const last = await client.chat.completions.create({
      model: CLASSIC,
      messages: [...messages, { role: message.role, content: message.content, tool_calls: message.tool_calls }, ...results],
      tools: [weather],
    });
    assert.match(last.choices[0].message.content, /sunny-/);
  }
});

test('structured output parses', async () => {
  const shape = z.object({ name: z.string(), tags: z.array(z.enum(['a', 'b'])), size: z.object({ w: z.number(), h: z.number() }) });
  const reply = await client.chat.completions.parse(
    ask('Describe something', { response_format: zodResponseFormat(shape, 'thing') }),
  );
  assert.doesNotThrow(() => shape.parse(reply.choices[0].message.parsed));
});

test('an image arrives', async () => {
  const reply = await client.chat.completions.create(
    ask([{ type: 'text', text: 'What is this?' }, { type: 'image_url', image_url: { url: pixel, detail: 'high' } }]),
  );
  assert.match(reply.choices[0].message.content, /image/i);
});

test('reasoning comes back as text and as tokens', async () => {
  const reply = await client.chat.completions.create(ask('Think about it', { reasoning_effort: 'high' }));
  assert.ok(reply.choices[0].message.reasoning_content.length > 0);
  assert.ok(reply.usage.completion_tokens_details.reasoning_tokens > 0);
});

test('max_tokens ends the reply with length', async () => {
  for (const stream of [false, true]) {
    const body = ask('count to 1000', { max_tokens: 20 });
    const reply = stream
      ? await client.chat.completions.stream(body).finalChatCompletion()
      : await client.chat.completions.create(body);
    assert.equal(reply.choices[0].finish_reason, 'length');
    const words = reply.choices[0].message.content.trim().split(/\s+/);
    assert.ok(words.length >= 5 && words.length <= 20, `${words.length} words`);
  }
});

test('a stop sequence ends the reply', async () => {
  const reply = await client.chat.completions.create(ask('count to 50', { stop: ['13'] }));
  assert.equal(reply.choices[0].message.content.trim(), '1 2 3 4 5 6 7 8 9 10 11 12');
  assert.equal(reply.choices[0].finish_reason, 'stop');
});
