// The `openai` package: Chat Completions and Responses.

import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { zodResponseFormat, zodTextFormat } from 'openai/helpers/zod';
import { called, quotes, thirty } from '../speakers.mjs';
import { asks, forecast, pixel, seen, thing, weather } from './shapes.mjs';

const client = ({ root, key }) => new OpenAI({ baseURL: `${root}/v1`, apiKey: key, maxRetries: 0 });
const image = `data:image/png;base64,${pixel}`;
const described = { name: weather.name, description: weather.description, parameters: weather.schema, strict: true };

export function chat(at) {
  const completions = client(at).chat.completions;
  const ask = (content, rest = {}) => ({ model: at.model, messages: [{ role: 'user', content }], ...rest });
  return {
    async collects() {
      const reply = await completions.create(ask(asks.collects));
      assert.equal(reply.choices[0].message.content, 'pong');
      assert.equal(reply.choices[0].finish_reason, 'stop');
      assert.ok(reply.usage.prompt_tokens > 0 && reply.usage.completion_tokens > 0);
    },
    async streams() {
      const reply = await completions
        .stream(ask(asks.streams, { stream_options: { include_usage: true } }))
        .finalChatCompletion();
      assert.equal(reply.choices[0].message.content.trim(), thirty);
      assert.ok(reply.usage.completion_tokens >= 30);
    },
    async calls() {
      for (const stream of [false, true]) {
        const body = ask(asks.calls, { tools: [{ type: 'function', function: described }] });
        const reply = stream ? await completions.stream(body).finalChatCompletion() : await completions.create(body);
        const { message, finish_reason: finish } = reply.choices[0];
        assert.equal(finish, 'tool_calls');
        called(at, message.tool_calls.map((call) => JSON.parse(call.function.arguments)));
        const results = message.tool_calls.map((call) => ({
          role: 'tool',
          tool_call_id: call.id,
          content: forecast(JSON.parse(call.function.arguments)),
        }));
        const last = await completions.create({ ...body, messages: [...body.messages, message, ...results] });
        quotes(at, last.choices[0].message.content);
      }
    },
    async fits() {
      const reply = await completions.parse(ask(asks.fits, { response_format: zodResponseFormat(thing, 'thing') }));
      thing.parse(reply.choices[0].message.parsed);
    },
    async sees() {
      const content = [{ type: 'text', text: asks.sees }, { type: 'image_url', image_url: { url: image } }];
      assert.match((await completions.create(ask(content))).choices[0].message.content, seen);
    },
  };
}

export function responses(at) {
  const api = client(at).responses;
  const ask = (input, rest = {}) => ({ model: at.model, input, ...rest });
  return {
    async collects() {
      const reply = await api.create(ask(asks.collects));
      assert.equal(reply.output_text, 'pong');
      assert.equal(reply.status, 'completed');
      assert.ok(reply.usage.input_tokens > 0 && reply.usage.output_tokens > 0);
    },
    async streams() {
      let text = '';
      const types = [];
      for await (const event of await api.create(ask(asks.streams, { stream: true }))) {
        types.push(event.type);
        if (event.type === 'response.output_text.delta') text += event.delta;
      }
      assert.deepEqual([types[0], types.at(-1)], ['response.created', 'response.completed']);
      assert.equal(text.trim(), thirty);
    },
    async calls() {
      for (const stream of [false, true]) {
        const input = [{ role: 'user', content: asks.calls }];
        const body = ask(input, { tools: [{ type: 'function', ...described }] });
        const reply = stream ? await api.stream(body).finalResponse() : await api.create(body);
        const calls = reply.output.filter((item) => item.type === 'function_call');
        called(at, calls.map((call) => JSON.parse(call.arguments)));
        const results = calls.map((call) => ({
          type: 'function_call_output',
          call_id: call.call_id,
          output: forecast(JSON.parse(call.arguments)),
        }));
        const said = reply.output.map(({ parsed_arguments: _, ...item }) => item);
        quotes(at, (await api.create({ ...body, input: [...input, ...said, ...results] })).output_text);
      }
    },
    async fits() {
      const reply = await api.parse(ask(asks.fits, { text: { format: zodTextFormat(thing, 'thing') } }));
      thing.parse(reply.output_parsed);
    },
    async sees() {
      const content = [{ type: 'input_text', text: asks.sees }, { type: 'input_image', image_url: image, detail: 'auto' }];
      assert.match((await api.create(ask([{ role: 'user', content }]))).output_text, seen);
    },
  };
}
