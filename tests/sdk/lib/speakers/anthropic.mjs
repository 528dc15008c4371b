// The `@anthropic-ai/sdk` package.

import assert from 'node:assert/strict';
import Anthropic from '@anthropic-ai/sdk';
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod';
import { called, quotes, thirty } from '../speakers.mjs';
import { asks, forecast, pixel, seen, thing, weather } from './shapes.mjs';

/** The text of a message. */
export const said = (message) => message.content.filter((block) => block.type === 'text').map((block) => block.text).join('');

export function anthropic(at) {
  const { root, key, model } = at;
  const { messages } = new Anthropic({ baseURL: root, apiKey: key, maxRetries: 0 });
  const ask = (content, rest = {}) => ({ model, max_tokens: 4096, messages: [{ role: 'user', content }], ...rest });
  return {
    async collects() {
      const message = await messages.create(ask(asks.collects));
      assert.equal(said(message), 'pong');
      assert.equal(message.stop_reason, 'end_turn');
      assert.ok(message.usage.input_tokens > 0 && message.usage.output_tokens > 0);
    },
    async streams() {
      const stream = messages.stream(ask(asks.streams));
      const types = [];
      for await (const event of stream) types.push(event.type);
      const message = await stream.finalMessage();
      assert.deepEqual([types[0], types.at(-1)], ['message_start', 'message_stop']);
      assert.equal(said(message).trim(), thirty);
      assert.ok(message.usage.output_tokens >= 30);
    },
    async calls() {
      for (const stream of [false, true]) {
        const tools = [{ name: weather.name, description: weather.description, input_schema: weather.schema }];
        const body = ask(asks.calls, { tools });
        const message = stream ? await messages.stream(body).finalMessage() : await messages.create(body);
        assert.equal(message.stop_reason, 'tool_use');
        const uses = message.content.filter((block) => block.type === 'tool_use');
        called(at, uses.map((use) => use.input));
        const results = uses.map((use) => ({ type: 'tool_result', tool_use_id: use.id, content: forecast(use.input) }));
        const history = [...body.messages, { role: 'assistant', content: message.content }, { role: 'user', content: results }];
        quotes(at, said(await messages.create({ ...body, messages: history })));
      }
    },
    async fits() {
      const message = await messages.parse(ask(asks.fits, { output_config: { format: zodOutputFormat(thing) } }));
      thing.parse(message.parsed_output);
    },
    async sees() {
      const source = { type: 'base64', media_type: 'image/png', data: pixel };
      const message = await messages.create(ask([{ type: 'image', source }, { type: 'text', text: asks.sees }]));
      assert.match(said(message), seen);
    },
  };
}
