// Relays: signatures and state that only the relay can read, its refusals, its names, and what stands beside its models.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { ApiError } from '@google/genai';
import OpenAI, { toFile } from 'openai';
import { start } from '../lib/demo.mjs';
import { said } from '../lib/speakers/anthropic.mjs';
import { forecast, weather } from '../lib/speakers/shapes.mjs';

let demo;
before(async () => {
  demo = await start();
  for (const wire of ['chat', 'responses', 'messages', 'gemini']) await demo.relay(wire);
});
after(() => demo.stop());

const question = 'What is the weather in Rome?';

test('models of relays are listed, by their own names and by the relay', async () => {
  const ids = (await demo.openai().models.list()).data.map((model) => model.id);
  for (const id of ['llama-4-scout', 'claude-haiku-5', 'gemini-3.8-flash', 'gpt-5-mini']) {
    assert.ok(ids.some((name) => name === id || name.endsWith(`:${id}`)), `${id} in ${ids}`);
  }
  for (const model of ['llama-4-scout', 'chat:llama-4-scout', 'qwen/qwen3-coder', 'messages:claude-haiku-5']) {
    const reply = await demo.openai().chat.completions.create({ model, messages: [{ role: 'user', content: 'Reply with exactly: pong' }] });
    assert.equal(reply.choices[0].message.content, 'pong');
  }
});

test('a relay that lists a name comes before its alias', async () => {
  const { response } = await demo.anthropic().messages
    .create({ model: 'claude-opus-5-5', max_tokens: 100, messages: [{ role: 'user', content: 'hello' }] })
    .withResponse();
  assert.equal(response.headers.get('x-polygate-model'), 'claude-opus-5-5');
});

test('an unknown model of a known relay is not found', async () => {
  const ask = (model) => demo.openai().chat.completions.create({ model, messages: [{ role: 'user', content: 'x' }] });
  await assert.rejects(ask('chat:no-such-model'), OpenAI.NotFoundError);
  await assert.rejects(ask('nobody:llama-4-scout'), OpenAI.NotFoundError);
});

/** That the last request of a relay brought the state that the relay had made. */
const states = {
  'gemini:gemini-3.8-pro': async () => {
    const { contents } = (await demo.posts('gemini_relay')).at(-1).body;
    const { thoughtSignature } = contents.flatMap((content) => content.parts).find((part) => part.functionCall);
    assert.match(Buffer.from(thoughtSignature, 'base64').toString(), /^offline-thought:/);
  },
  'responses:gpt-5-mini': async () => {
    const { input } = (await demo.posts('responses_relay')).at(-1).body;
    assert.match(input.find((item) => item.type === 'reasoning').encrypted_content, /^gAAAA/);
  },
};

for (const stream of [false, true]) {
  const form = stream ? 'streamed' : 'collected';

  test(`Anthropic's thoughts go through a Messages relay, ${form}`, async () => {
    const { messages } = demo.anthropic();
    const tools = [{ name: weather.name, description: weather.description, input_schema: weather.schema }];
    const thinking = { type: 'enabled', budget_tokens: 1024 };
    for (const prompt of [question, `${question} Keep it redacted.`]) {
      const body = { model: 'messages:claude-opus-5-5', max_tokens: 4096, tools, thinking, messages: [{ role: 'user', content: prompt }] };
      const reply = stream ? await messages.stream(body).finalMessage() : await messages.create(body);
      assert.match(reply.content[0].type, /thinking$/);
      const use = reply.content.find((block) => block.type === 'tool_use');
      const results = [{ type: 'tool_result', tool_use_id: use.id, content: forecast(use.input) }];
      const history = [...body.messages, { role: 'assistant', content: reply.content }, { role: 'user', content: results }];
      // The relay refuses a signature that it did not make, and a history without one.
      assert.match(said(await messages.create({ ...body, messages: history })), /rain in Rome/);
    }
  });

  test(`encrypted reasoning goes through a Responses relay, ${form}`, async () => {
    const { responses } = demo.openai();
    const body = {
      model: 'responses:gpt-5-mini',
      input: [{ role: 'user', content: 'Think about it' }],
      store: false,
      include: ['reasoning.encrypted_content'],
      reasoning: { effort: 'high', summary: 'auto' },
    };
    const reply = stream ? await responses.stream(body).finalResponse() : await responses.create(body);
    assert.ok(reply.output[0].encrypted_content.length > 0);
    const input = [...body.input, reply.output[0], { role: 'user', content: 'Reply with exactly: pong' }];
    assert.equal((await responses.create({ ...body, input })).output_text, 'pong');
  });

  test(`a foreign client's thoughts come back to their relay, ${form}`, async () => {
    const { messages } = demo.anthropic();
    const tools = [{ name: weather.name, description: weather.description, input_schema: weather.schema }];
    for (const model of ['gemini:gemini-3.8-pro', 'responses:gpt-5-mini', 'chat:deepseek-r2']) {
      const thinking = { type: 'enabled', budget_tokens: 1024 };
      const body = { model, max_tokens: 4096, tools, thinking, messages: [{ role: 'user', content: question }] };
      const reply = stream ? await messages.stream(body).finalMessage() : await messages.create(body);
      const use = reply.content.find((block) => block.type === 'tool_use');
      const results = [{ type: 'tool_result', tool_use_id: use.id, content: forecast(use.input) }];
      const history = [...body.messages, { role: 'assistant', content: reply.content }, { role: 'user', content: results }];
      assert.match(said(await messages.create({ ...body, messages: history })), /rain in Rome/, model);
      await states[model]?.();
    }
  });
}

test('thoughts of one upstream do not reach another', async () => {
  const { messages } = demo.anthropic();
  const ask = (model, history) => messages.create({ model, max_tokens: 4096, thinking: { type: 'enabled', budget_tokens: 1024 }, messages: history });
  const models = ['gpt-6-sol', 'messages:claude-haiku-5', 'gemini:gemini-3.8-pro', 'responses:gpt-5-mini'];
  let history = [];
  for (const model of [...models, ...models]) {
    history = [...history, { role: 'user', content: 'Reply with exactly: pong' }];
    const reply = await ask(model, history);
    assert.equal(said(reply), 'pong', model);
    history = [...history, { role: 'assistant', content: reply.content }];
  }
});

test('limits and stop sequences through every relay', async () => {
  for (const model of ['chat:llama-4-scout', 'chat:gpt-5-nano', 'responses:gpt-4.1', 'messages:claude-haiku-5', 'gemini:gemini-3.8-flash']) {
    const ask = (content, rest) => demo.anthropic().messages.create({ model, max_tokens: 200, messages: [{ role: 'user', content }], ...rest });
    const long = await ask('count to 1000', { max_tokens: 20 });
    assert.equal(long.stop_reason, 'max_tokens', model);
    assert.ok(said(long).trim().split(/\s+/).length <= 20, model);
    if (model === 'chat:gpt-5-nano') continue;
    const short = await ask('count to 50', { stop_sequences: ['13'] });
    assert.equal(said(short).trim(), '1 2 3 4 5 6 7 8 9 10 11 12', model);
  }
});

const chat = (model, rest = {}) => ({ model, messages: [{ role: 'user', content: 'count to 20' }], ...rest });
const message = (model) => ({ ...chat(model), max_tokens: 1000 });
const ask = {
  anthropic: (model) => demo.anthropic().messages.create(message(model)),
  openai: (model) => demo.openai().chat.completions.create(chat(model)),
};
/** Each relay through an SDK of another kind. */
const crossings = [
  ['chat', 'llama-4-scout', ask.anthropic, Anthropic],
  ['responses', 'gpt-4.1', ask.anthropic, Anthropic],
  ['messages', 'claude-haiku-5', ask.openai, OpenAI],
  ['gemini', 'gemini-3.8-flash', ask.openai, OpenAI],
];
const refusal = (status, text) => ({ status, body: { json: { error: { message: text, type: 'some_error', code: status, status: 'UNKNOWN' } } } });

for (const [wire, model, call, sdk] of crossings) {
  test(`refusals of a ${wire} relay are typed and keep their words`, async () => {
    const when = { place: `${wire}_relay` };
    await demo.script(refusal(400, 'Something odd about this request'), { when });
    await assert.rejects(call(`${wire}:${model}`), (error) => error instanceof sdk.BadRequestError && /odd about this/.test(error.message));
    await demo.script(refusal(500, 'boom'), { when, times: 2 });
    await assert.rejects(call(`${wire}:${model}`), (error) => error instanceof sdk.InternalServerError);
    await call(`${wire}:${model}`);
  });

  test(`a limit of a ${wire} relay says when to come back`, async () => {
    const name = `limited-${wire}`;
    await demo.relay(wire, name);
    const when = { place: `${wire}_relay`, account: `sk-offline-${name}` };
    await demo.script({ ...refusal(429, 'Slow down'), headers: [['retry-after', '60']] }, { when });
    for (const time of ['the first time', 'a later time']) {
      await assert.rejects(call(`${name}:${model}`), (error) => {
        assert.ok(error instanceof sdk.RateLimitError, `${time}: ${error.constructor.name}: ${error.message}`);
        const seconds = Number(error.headers.get('retry-after'));
        assert.ok(seconds > 50 && seconds <= 60, `${time}: retry-after ${seconds}`);
        return true;
      });
    }
    const asked = (await demo.posts(when.place)).filter((seen) => seen.account === when.account);
    assert.equal(asked.length, 1, 'it is not asked again before');
  });
}

test('a stream that a relay breaks off raises in every SDK', async () => {
  const stop = (event) => ({ shape: { stop: { at: { event }, how: 'reset' } } });
  await demo.script(stop(12), { when: { place: 'chat_relay' } });
  await assert.rejects(demo.anthropic().messages.stream(message('chat:llama-4-scout')).finalMessage(), (error) => error instanceof Anthropic.APIError);
  await demo.script(stop(12), { when: { place: 'messages_relay' } });
  await assert.rejects(demo.openai().chat.completions.stream(chat('messages:claude-haiku-5')).finalChatCompletion(), (error) => error instanceof OpenAI.OpenAIError);
  await demo.script(stop(6), { when: { place: 'responses_relay' } });
  await assert.rejects(async () => {
    const stream = await demo.google().models.generateContentStream({ model: 'responses:gpt-4.1', contents: 'count to 20' });
    for await (const chunk of stream) assert.ok(chunk);
  }, (error) => error instanceof ApiError);
  await demo.script(stop(6), { when: { place: 'gemini_relay' } });
  await assert.rejects(demo.anthropic().messages.stream(message('gemini:gemini-3.8-flash')).finalMessage(), (error) => error instanceof Anthropic.APIError);
});

test('a relay whose key is refused says so, and is left alone', async () => {
  // Its list is refused too, which alone says little: some services list for nobody.
  await demo.add('messages', 'stranger', 'sk-wrong');
  const ask = () => demo.anthropic().messages.create(message('stranger:claude-haiku-5'));
  for (let tries = 0; tries < 2; tries += 1) await assert.rejects(ask(), (error) => error instanceof Anthropic.APIError);
  const { keys } = await demo.administer('GET');
  assert.notEqual(keys.find((relay) => relay.label === 'stranger').status, 'active');
  const asked = (await demo.posts('messages_relay')).filter((seen) => seen.account === 'sk-wrong');
  assert.equal(asked.length, 1);
});

test('embeddings, audio and images of a relay that has them', async () => {
  await demo.relay('chat', 'media', 'sk-offline-media', { capabilities: ['embeddings', 'audio', 'images'] });
  const openai = demo.openai();
  const { data } = await openai.embeddings.create({ model: 'media:text-embedding-3-small', input: ['a', 'b'], dimensions: 4 });
  assert.deepEqual([data.length, data[0].embedding.length], [2, 4]);
  const speech = await openai.audio.speech.create({ model: 'media:gpt-4o-mini-tts', voice: 'alloy', input: 'hello' });
  assert.equal(Buffer.from(await speech.arrayBuffer())[0], 0xff);
  const file = await toFile(Buffer.from('RIFF'), 'a.wav');
  assert.equal((await openai.audio.transcriptions.create({ model: 'media:whisper-1', file })).text, 'I heard 4 bytes.');
  const image = await openai.images.generate({ model: 'media:gpt-image-1', prompt: 'a fox' });
  assert.equal(Buffer.from(image.data[0].b64_json, 'base64').subarray(1, 4).toString(), 'PNG');
});
