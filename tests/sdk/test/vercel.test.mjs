// Vercel's `ai` with its three providers: reasoning, errors and aliases (the conversations are in speakers.test.mjs).

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createGoogleGenerativeAI } from '@ai-sdk/google';
import { createOpenAI } from '@ai-sdk/openai';
import { APICallError, generateText, isStepCount, streamText, tool } from 'ai';
import { z } from 'zod';
import { CLASSIC, MODEL, broken, start, torn, usageLimit } from '../lib/demo.mjs';
import { forecast } from '../lib/speakers/shapes.mjs';

let demo;
before(async () => {
  demo = await start('--accounts', '1');
});
after(() => demo.stop());

/** A model of a provider, and how it is asked to think. */
const providers = {
  responses: {
    model: (at, name) => createOpenAI({ baseURL: `${at.url}/v1`, apiKey: at.key })(name),
    think: { openai: { reasoningEffort: 'high', reasoningSummary: 'auto', store: false, forceReasoning: true, include: ['reasoning.encrypted_content'] } },
  },
  anthropic: {
    model: (at, name) => createAnthropic({ baseURL: `${at.url}/v1`, apiKey: at.key })(name),
    think: { anthropic: { thinking: { type: 'enabled', budgetTokens: 4096 } } },
    alias: 'claude-opus-5-5',
  },
  google: {
    model: (at, name) => createGoogleGenerativeAI({ baseURL: `${at.url}/v1beta`, apiKey: at.key })(name),
    think: { google: { thinkingConfig: { includeThoughts: true } } },
    // The provider knows no errors inside a stream: what it can say is that the reply did not stop by itself.
    silent: true,
    alias: 'gemini-3.8-pro',
  },
};

const tools = {
  get_weather: tool({ description: 'Weather', inputSchema: z.object({ city: z.string() }), execute: async (input) => forecast(input) }),
};

for (const [name, { model, think, alias, silent }] of Object.entries(providers)) {
  const ask = (prompt, rest = {}) => ({ model: model(demo, MODEL), prompt, maxRetries: 0, ...rest });

  test(`${name}: thinking goes through the steps of a tool loop`, async () => {
    for (const run of [generateText, streamText]) {
      const started = run(ask('What is the weather in Rome?', { tools, stopWhen: isStepCount(3), providerOptions: think }));
      const reply = run === streamText ? started : await started;
      const steps = await reply.steps;
      assert.ok(steps[0].reasoningText?.length > 0, 'a thought is shown');
      assert.match(await reply.text, /rain in Rome/);
      const { input, previous_response_id: previous } = (await demo.posts()).at(-1).body;
      const state = input.find((item) => item.type === 'reasoning');
      // A socket that goes on from the reply has its state already.
      assert.match(previous ?? state?.encrypted_content ?? 'none', /^(gAAAA|resp_)/, 'its state goes back to the backend');
    }
  });

  test(`${name}: a reply that a limit ended`, async () => {
    const reply = await generateText(ask('count to 1000', { maxOutputTokens: 20 }));
    assert.equal(reply.finishReason, 'length');
  });

  if (alias) {
    test(`${name}: ${alias} with no model set`, async () => {
      const reply = await generateText({ ...ask('Reply with exactly: pong'), model: model(demo, alias) });
      assert.equal(reply.text, 'pong');
    });
  }

  const fails = (status) => (error) => {
    assert.ok(APICallError.isInstance(error), `${error?.name}: ${error?.message}`);
    assert.ok(typeof status === 'number' ? error.statusCode === status : status(error.statusCode), `${error.statusCode}`);
    assert.ok(error.message.length > 0 && error.message !== error.responseBody, 'the message was found in the body');
    return true;
  };

  test(`${name}: typed errors`, async () => {
    await assert.rejects(generateText({ ...ask('hello'), model: model({ ...demo, key: 'pgk_wrong' }, MODEL) }), fails(401));
    await assert.rejects(generateText({ ...ask('hello'), model: model(demo, 'no-such-model') }), fails(404));
    await demo.script({ status: 400, body: { json: { detail: 'Something odd about this request' } } });
    await assert.rejects(generateText(ask('hello')), (error) => fails(400)(error) && /odd about this/.test(error.message));
    await demo.script(broken, { times: 2 });
    await assert.rejects(generateText(ask('hello')), fails((status) => status >= 500));
  });

  test(`${name}: 429 with Retry-After`, async () => {
    const own = await start('--accounts', '1');
    try {
      await own.script(usageLimit(3600));
      await assert.rejects(generateText({ ...ask('hello'), model: model(own, CLASSIC) }), (error) => {
        fails(429)(error);
        assert.ok(Number(error.responseHeaders['retry-after']) > 3400);
        return error.isRetryable;
      });
    } finally {
      await own.stop();
    }
  });

  test(`${name}: a failure in mid-stream is an error part`, async () => {
    await demo.script(torn);
    const parts = [];
    const reply = streamText({ ...ask('count to 20'), onError: () => {} });
    for await (const part of reply.stream) parts.push(part);
    const finish = parts.findLast((part) => part.type === 'finish')?.finishReason;
    const raised = parts.some((part) => part.type === 'error');
    assert.ok(raised || (silent && finish !== 'stop'), `${parts.map((part) => part.type)} ${finish}`);
  });
}
