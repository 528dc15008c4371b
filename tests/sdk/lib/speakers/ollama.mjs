// The `ollama` package, which speaks to a listener of its own (`at.ollama`).

import assert from 'node:assert/strict';
import { Ollama } from 'ollama';
import { called, quotes, thirty } from '../speakers.mjs';
import { asks, forecast, pixel, seen, thing, thingSchema, weather } from './shapes.mjs';

const tool = {
  type: 'function',
  function: { name: weather.name, description: weather.description, parameters: weather.schema },
};

/** The parts of a streamed chat, put together. */
export async function gather(stream) {
  const whole = { content: '', thinking: '', tool_calls: [] };
  let last;
  let ends = 0;
  for await (const part of stream) {
    whole.content += part.message?.content ?? '';
    whole.thinking += part.message?.thinking ?? '';
    whole.tool_calls.push(...(part.message?.tool_calls ?? []));
    ends += part.done ? 1 : 0;
    last = part;
  }
  assert.equal(ends, 1, 'one end');
  return { message: { role: 'assistant', ...whole }, last };
}

export function ollama(at) {
  const { ollama: host, model } = at;
  const client = new Ollama({ host });
  const ask = (content, rest = {}) => ({ model, messages: [{ role: 'user', content }], ...rest });
  return {
    async collects() {
      const reply = await client.chat(ask(asks.collects));
      assert.equal(reply.message.content, 'pong');
      assert.deepEqual([reply.done, reply.done_reason], [true, 'stop']);
      assert.ok(reply.prompt_eval_count > 0 && reply.eval_count > 0);
    },
    async streams() {
      const { message, last } = await gather(await client.chat(ask(asks.streams, { stream: true })));
      assert.equal(message.content.trim(), thirty);
      assert.ok(last.eval_count >= 30 && last.total_duration > 0);
    },
    async calls() {
      for (const stream of [false, true]) {
        const body = ask(asks.calls, { tools: [tool] });
        const message = stream
          ? (await gather(await client.chat({ ...body, stream: true }))).message
          : (await client.chat(body)).message;
        called(at, message.tool_calls.map((call) => call.function.arguments));
        const results = message.tool_calls.map((call) => ({
          role: 'tool',
          tool_name: call.function.name,
          content: forecast(call.function.arguments),
        }));
        const last = await client.chat({ ...body, messages: [...body.messages, message, ...results] });
        quotes(at, last.message.content);
      }
    },
    async fits() {
      const reply = await client.chat(ask(asks.fits, { format: thingSchema }));
      thing.parse(JSON.parse(reply.message.content));
    },
    async sees() {
      const messages = [{ role: 'user', content: asks.sees, images: [pixel] }];
      assert.match((await client.chat({ model, messages })).message.content, seen);
    },
  };
}
