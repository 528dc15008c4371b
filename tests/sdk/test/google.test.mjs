// Gemini through the official SDK: what the other SDKs have no word for.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ApiError, FunctionCallingConfigMode } from '@google/genai';
import { MODEL, broken, start, torn, usageLimit } from '../lib/demo.mjs';
import { gather } from '../lib/speakers/google.mjs';
import { forecast, weather } from '../lib/speakers/shapes.mjs';

let demo;
let models;
before(async () => {
  demo = await start('--accounts', '1');
  models = demo.google().models;
});
after(() => demo.stop());

const ask = (contents, config = {}) => ({ model: MODEL, contents, config });
const declared = { name: weather.name, description: weather.description, parametersJsonSchema: weather.schema };
const tools = [{ functionDeclarations: [declared] }];
const lastPost = async () => (await demo.posts()).at(-1).body;
const raw = (path, body, headers = {}) =>
  fetch(`${demo.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
const user = (text) => ({ contents: [{ role: 'user', parts: [{ text }] }] });

test('names of Gemini are served by the catalogue, and the answer says by which model', async () => {
  const listed = [];
  for await (const model of await models.list()) listed.push(model.name.replace('models/', ''));
  const cases = { 'gemini-3.8-pro': listed[0], 'gemini-3.1-pro-preview': listed[0], 'gemini-3.8-flash': /luna|mini/, 'gemini-3.5-flash-lite': /luna|mini/ };
  for (const [model, served] of Object.entries(cases)) {
    const reply = await models.generateContent({ model, contents: 'Reply with exactly: pong' });
    assert.equal(reply.text, 'pong');
    const header = reply.sdkHttpResponse.headers['x-polygate-model'];
    assert.equal(reply.modelVersion, header);
    if (served instanceof RegExp) assert.match(header, served);
    else assert.equal(header, served);
  }
});

test('both versions, both forms of the key, both forms of the stream', async () => {
  const by = { 'x-goog-api-key': demo.key };
  for (const version of ['v1', 'v1beta']) {
    for (const [query, headers] of [['', by], [`key=${demo.key}`, {}]]) {
      const whole = await raw(`/${version}/models/${MODEL}:generateContent?${query}`, user('Reply with exactly: pong'), headers);
      assert.equal((await whole.json()).candidates[0].content.parts.at(-1).text, 'pong');
      const events = await raw(`/${version}/models/${MODEL}:streamGenerateContent?alt=sse&${query}`, user('count to 5'), headers);
      assert.match(events.headers.get('content-type'), /^text\/event-stream/);
      assert.match(await events.text(), /^data: \{/);
      const array = await raw(`/${version}/models/${MODEL}:streamGenerateContent?${query}`, user('count to 5'), headers);
      assert.match(array.headers.get('content-type'), /^application\/json/);
      const texts = (await array.json()).flatMap((chunk) => chunk.candidates?.[0]?.content?.parts ?? []).map((part) => part.text ?? '');
      assert.equal(texts.join('').trim(), '1 2 3 4 5');
    }
  }
});

test('a system instruction', async () => {
  await models.generateContent(ask('hello', { systemInstruction: 'be a pirate' }));
  assert.match(JSON.stringify(await lastPost()), /be a pirate/);
});

test('every mode of function calling', async () => {
  const called = async (functionCallingConfig, contents) => {
    const reply = await models.generateContent(ask(contents, { tools, toolConfig: { functionCallingConfig } }));
    return (reply.functionCalls ?? []).map((call) => call.name);
  };
  assert.deepEqual(await called({ mode: FunctionCallingConfigMode.ANY }, 'hello'), ['get_weather']);
  assert.deepEqual(await called({ mode: FunctionCallingConfigMode.ANY, allowedFunctionNames: ['get_weather'] }, 'hello'), ['get_weather']);
  assert.deepEqual(await called({ mode: FunctionCallingConfigMode.NONE }, 'What is the weather in Rome?'), []);
  assert.deepEqual(await called({ mode: FunctionCallingConfigMode.AUTO }, 'hello'), []);
});

test('two calls of one function keep apart without ids', async () => {
  const contents = [
    { role: 'user', parts: [{ text: 'hello' }] },
    { role: 'model', parts: ['Rome', 'Oslo'].map((city) => ({ functionCall: { name: 'get_weather', args: { city } } })) },
    { role: 'user', parts: ['sun', 'snow'].map((output) => ({ functionResponse: { name: 'get_weather', response: { output } } })) },
  ];
  const reply = await models.generateContent(ask(contents, { tools }));
  assert.match(reply.text, /sun.*snow/s);
  const { input } = await lastPost();
  const ids = (type) => input.filter((item) => item.type === type).map((item) => item.call_id);
  assert.equal(new Set(ids('function_call')).size, 2);
  assert.deepEqual(ids('function_call'), ids('function_call_output'));
});

for (const stream of [false, true]) {
  test(`thoughts and their signature come back intact, ${stream ? 'streamed' : 'collected'}`, async () => {
    const config = { tools, thinkingConfig: { includeThoughts: true, thinkingLevel: 'HIGH' } };
    const body = ask([{ role: 'user', parts: [{ text: 'What is the weather in Rome?' }] }], config);
    const parts = stream
      ? (await gather(await models.generateContentStream(body))).parts
      : (await models.generateContent(body)).candidates[0].content.parts;
    assert.ok(parts.some((part) => part.thought && part.text), 'a thought is shown');
    const signed = parts.find((part) => part.thoughtSignature);
    assert.match(signed.thoughtSignature, /^[A-Za-z0-9+/]+={0,2}$/, 'plain base64, as SDKs decode it');
    const call = parts.find((part) => part.functionCall).functionCall;
    const results = [{ functionResponse: { ...(call.id && { id: call.id }), name: call.name, response: { output: forecast(call.args) } } }];
    const contents = [...body.contents, { role: 'model', parts }, { role: 'user', parts: results }];
    const last = await models.generateContent({ ...body, contents });
    assert.match(last.text, /rain in Rome/);
    // The backend's socket goes on only from a reply that comes back as it was: then the state is there already.
    const { input, previous_response_id: previous } = await lastPost();
    const state = input.find((item) => item.type === 'reasoning');
    assert.match(previous ?? state?.encrypted_content ?? 'none', /^(gAAAA|resp_)/, 'the state that the backend made');
    assert.ok(!previous || input.every((item) => item.type === 'function_call_output'), 'and nothing twice');
  });
}

test('a budget of thinking becomes an effort', async () => {
  const effort = async (thinkingConfig) => {
    await models.generateContent(ask('hello', { thinkingConfig }));
    return (await lastPost()).reasoning?.effort;
  };
  assert.equal(await effort({ thinkingBudget: 0 }), 'low', 'the least that the model has');
  assert.equal(await effort({ thinkingLevel: 'LOW' }), 'low');
  assert.equal(await effort({ thinkingBudget: 4096 }), 'medium');
  assert.equal(await effort({ thinkingLevel: 'HIGH' }), 'high');
});

test('a chat remembers', async () => {
  const chat = demo.google().chats.create({ model: MODEL });
  assert.equal((await chat.sendMessage({ message: 'Reply with exactly: one' })).text, 'one');
  assert.equal((await gather(await chat.sendMessageStream({ message: 'Reply with exactly: two' }))).text, 'two');
  assert.equal((await lastPost()).input.filter((item) => item.role === 'user').length, 2);
});

test('schemas with tuples, references and unions', async () => {
  const schema = {
    type: 'object',
    properties: {
      pair: { type: 'array', prefixItems: [{ type: 'string' }, { type: 'integer' }], minItems: 2, maxItems: 2 },
      node: { $ref: '#/$defs/node' },
      either: { anyOf: [{ type: 'integer' }, { type: 'string' }] },
    },
    required: ['pair', 'node', 'either'],
    $defs: { node: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] } },
  };
  const reply = await models.generateContent(ask('Describe', { responseMimeType: 'application/json', responseJsonSchema: schema }));
  const value = JSON.parse(reply.text);
  assert.equal(typeof value.node.name, 'string');
  assert.deepEqual([typeof value.pair[0], Number.isInteger(value.pair[1])], ['string', true]);
});

test('any JSON', async () => {
  const reply = await models.generateContent(ask('Describe', { responseMimeType: 'application/json' }));
  assert.doesNotThrow(() => JSON.parse(reply.text));
});

test('limits and stop sequences are honoured here', async () => {
  for (const stream of [false, true]) {
    const run = async (config, contents) => {
      if (!stream) {
        const reply = await models.generateContent(ask(contents, config));
        return [reply.text, reply.candidates[0].finishReason];
      }
      const { text, chunks } = await gather(await models.generateContentStream(ask(contents, config)));
      return [text, chunks.findLast((chunk) => chunk.candidates?.[0]?.finishReason).candidates[0].finishReason];
    };
    const [long, reason] = await run({ maxOutputTokens: 20 }, 'count to 1000');
    assert.equal(reason, 'MAX_TOKENS');
    assert.ok(long.trim().split(/\s+/).length <= 20);
    const [short, end] = await run({ stopSequences: ['13'] }, 'count to 50');
    assert.deepEqual([short.trim(), end], ['1 2 3 4 5 6 7 8 9 10 11 12', 'STOP']);
  }
});

test('tokens are counted', async () => {
  const small = (await models.countTokens({ model: MODEL, contents: 'hello' })).totalTokens;
  const large = (await models.countTokens({ model: MODEL, contents: 'word '.repeat(1000) })).totalTokens;
  assert.ok(small > 0 && small < 30, `${small}`);
  assert.ok(large > 900 && large < 1200, `${large}`);
});

test('models', async () => {
  const names = [];
  for await (const model of await models.list({ config: { pageSize: 3 } })) {
    assert.ok(model.inputTokenLimit > 0 && model.displayName);
    names.push(model.name);
  }
  assert.ok(names.includes(`models/${MODEL}`) && new Set(names).size === names.length, names.join());
  const one = await models.get({ model: MODEL });
  assert.equal(one.name, `models/${MODEL}`);
  await assert.rejects(models.get({ model: 'no-such-model' }), status(404));
});

/** The SDK has one class of error; its message is the body. */
const status = (code, check = () => true) => (error) => {
  assert.ok(error instanceof ApiError, `${error?.constructor?.name}: ${error?.message}`);
  assert.equal(error.status, code, error.message);
  const body = JSON.parse(error.message).error;
  assert.equal(body.code, code);
  check(body);
  return true;
};
const named = (name) => (body) => assert.equal(body.status, name);

for (const stream of [false, true]) {
  const form = stream ? 'streamed' : 'collected';
  const call = async (body = {}, from = models) => {
    const whole = { ...ask('count to 20'), ...body };
    return stream ? gather(await from.generateContentStream(whole)) : from.generateContent(whole);
  };

  test(`401, ${form}`, () =>
    assert.rejects(call({}, demo.google({ apiKey: 'pgk_wrong' }).models), status(401, named('UNAUTHENTICATED'))));

  test(`404, ${form}`, () => assert.rejects(call({ model: 'no-such-model' }), status(404, named('NOT_FOUND'))));

  test(`400 with the path of the field, ${form}`, () =>
    assert.rejects(call({ contents: [{ role: 'user', parts: [{ text: 7 }] }] }), status(400, (body) => {
      named('INVALID_ARGUMENT')(body);
      assert.match(body.message, /contents.*parts.*text/);
    })));

  test(`an upstream 400 keeps its words, ${form}`, async () => {
    await demo.script({ status: 400, body: { json: { detail: 'Something odd about this request' } } });
    await assert.rejects(call(), status(400, (body) => assert.match(body.message, /odd about this/)));
  });

  test(`5xx after its one more attempt, ${form}`, async () => {
    await demo.script(broken, { times: 2 });
    await assert.rejects(call(), (error) => error instanceof ApiError && error.status >= 500);
  });

  test(`429 that says when to come back, ${form}`, async () => {
    const own = await start('--accounts', '1');
    try {
      await own.script(usageLimit(3600));
      await assert.rejects(call({}, own.google().models), status(429, (body) => {
        named('RESOURCE_EXHAUSTED')(body);
        const retry = body.details.find((detail) => detail['@type'].endsWith('RetryInfo'));
        assert.match(retry.retryDelay, /^3[45]\d\d(\.\d+)?s$|^3600s$/);
      }));
      const again = await fetch(`${own.url}/v1beta/models/${MODEL}:generateContent`, {
        method: 'POST',
        headers: { 'x-goog-api-key': own.key, 'content-type': 'application/json' },
        body: JSON.stringify(user('hello')),
      });
      assert.equal(again.status, 429);
      assert.ok(Number(again.headers.get('retry-after')) > 3400);
    } finally {
      await own.stop();
    }
  });
}

test('a failure in mid-stream raises', async () => {
  await demo.script(torn);
  await assert.rejects(async () => gather(await models.generateContentStream(ask('count to 20'))), (error) => error instanceof ApiError);
});
