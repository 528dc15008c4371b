// Vercel's `ai` with its providers for OpenAI (both APIs), Anthropic and Google.

import assert from 'node:assert/strict';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createGoogleGenerativeAI } from '@ai-sdk/google';
import { createOpenAI } from '@ai-sdk/openai';
import { Output, generateText, isStepCount, streamText, tool } from 'ai';
import { z } from 'zod';
import { called, quotes, thirty } from '../speakers.mjs';
import { asks, forecast, pixel, seen, thing, weather } from './shapes.mjs';

const providers = {
  'ai openai responses': ({ root, key, model }) => createOpenAI({ baseURL: `${root}/v1`, apiKey: key })(model),
  'ai openai chat': ({ root, key, model }) => createOpenAI({ baseURL: `${root}/v1`, apiKey: key }).chat(model),
  'ai anthropic': ({ root, key, model }) => createAnthropic({ baseURL: `${root}/v1`, apiKey: key })(model),
  'ai google': ({ root, key, model }) => createGoogleGenerativeAI({ baseURL: `${root}/v1beta`, apiKey: key })(model),
};

const tools = {
  [weather.name]: tool({
    description: weather.description,
    inputSchema: z.object({ city: z.string() }),
    execute: async (input) => forecast(input),
  }),
};

function speak(provider, at) {
  // Unless it is told that nothing is stored, the provider for Responses sends references in place of items.
  const providerOptions = { openai: { store: false } };
  const ask = (prompt, rest = {}) => ({ model: provider(at), prompt, maxRetries: 0, providerOptions, ...rest });
  return {
    async collects() {
      const reply = await generateText(ask(asks.collects));
      assert.equal(reply.text, 'pong');
      assert.equal(reply.finishReason, 'stop');
      assert.ok(reply.usage.inputTokens > 0 && reply.usage.outputTokens > 0);
    },
    async streams() {
      const reply = streamText(ask(asks.streams));
      let text = '';
      for await (const piece of reply.textStream) text += piece;
      assert.equal(text.trim(), thirty);
      assert.equal(await reply.finishReason, 'stop');
      assert.ok((await reply.usage).outputTokens >= 30);
    },
    async calls() {
      for (const run of [generateText, streamText]) {
        const reply = run(ask(asks.calls, { tools, stopWhen: isStepCount(3) }));
        const settled = run === streamText ? reply : await reply;
        const steps = await settled.steps;
        called(at, steps[0].toolCalls.map((call) => call.input));
        quotes(at, await settled.text);
      }
    },
    async fits() {
      const reply = await generateText(ask(asks.fits, { output: Output.object({ schema: thing }) }));
      thing.parse(reply.output);
    },
    async sees() {
      const content = [{ type: 'text', text: asks.sees }, { type: 'file', data: pixel, mediaType: 'image/png' }];
      const { model, maxRetries } = ask('');
      const reply = await generateText({ model, maxRetries, messages: [{ role: 'user', content }] });
      assert.match(reply.text, seen);
    },
  };
}

export const vercel = Object.fromEntries(
  Object.entries(providers).map(([name, provider]) => [name, (at) => speak(provider, at)]),
);
