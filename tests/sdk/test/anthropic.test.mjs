// Messages through the official SDK: what the other SDKs have no word for.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod';
import { z } from 'zod';
import { MODEL, broken, start, torn, usageLimit } from '../lib/demo.mjs';
import { said } from '../lib/speakers/anthropic.mjs';
import { forecast, pixel, weather } from '../lib/speakers/shapes.mjs';

let demo;
let client;
before(async () => {
  demo = await start('--accounts', '1');
  client = demo.anthropic();
});
after(() => demo.stop());

const ask = (content, rest = {}) => ({ model: MODEL, max_tokens: 4096, messages: [{ role: 'user', content }], ...rest });
const tools = [{ name: weather.name, description: weather.description, input_schema: weather.schema }];
const lastPost = async () => (await demo.posts()).at(-1).body;

test('names of Claude are served by the catalogue, and the answer says by which model', async () => {
  const listed = (await client.models.list()).data.map((model) => model.id);
  const cases = { 'claude-opus-5-5': listed[0], 'claude-sonnet-5-5': listed[0], 'claude-haiku-5': /luna|mini/ };
  for (const [model, served] of Object.entries(cases)) {
    const { data, response } = await client.messages.create(ask('Reply with exactly: pong', { model })).withResponse();
    assert.equal(said(data), 'pong');
    const header = response.headers.get('x-polygate-model');
    if (served instanceof RegExp) assert.match(header, served);
    else assert.equal(header, served);
    assert.equal(data.model, header);
    assert.match(response.headers.get('request-id'), /./);
  }
});

test('system prompts in all three places', async () => {
  const texts = ['from a string', 'from a block', 'from a message'];
  const cases = [
    ask('hello', { system: texts[0] }),
    ask('hello', { system: [{ type: 'text', text: texts[1], cache_control: { type: 'ephemeral' } }] }),
    { ...ask(''), messages: [{ role: 'user', content: 'hello' }, { role: 'system', content: texts[2] }] },
  ];
  for (const [at, body] of cases.entries()) {
    await client.messages.create(body);
    assert.ok(JSON.stringify(await lastPost()).includes(texts[at]), texts[at]);
  }
});

test('every choice of tools', async () => {
  const kinds = async (tool_choice, content) =>
    (await client.messages.create(ask(content, { tools, tool_choice }))).content.map((block) => block.type).filter((type) => type !== 'thinking');
  assert.deepEqual(await kinds({ type: 'any' }, 'hello'), ['tool_use']);
  assert.deepEqual(await kinds({ type: 'tool', name: 'get_weather' }, 'hello'), ['tool_use']);
  assert.deepEqual(await kinds({ type: 'none' }, 'What is the weather in Rome?'), ['text']);
  assert.deepEqual(await kinds({ type: 'auto' }, 'hello'), ['text']);
  const both = 'What is the weather in both Rome and Oslo?';
  assert.deepEqual(await kinds({ type: 'auto', disable_parallel_tool_use: true }, both), ['tool_use']);
});

test('results with an error and with an image', async () => {
  const call = await client.messages.create(ask('What is the weather in Rome?', { tools }));
  const use = call.content.find((block) => block.type === 'tool_use');
  const source = { type: 'base64', media_type: 'image/png', data: pixel };
  const image = { type: 'image', source };
  for (const result of [
    { content: 'no such city', is_error: true },
    { content: [{ type: 'text', text: 'see the map' }, image] },
    { content: [image] },
    {},
  ]) {
    const results = [{ type: 'tool_result', tool_use_id: use.id, ...result }];
    const messages = [...ask('What is the weather in Rome?').messages, { role: 'assistant', content: call.content }, { role: 'user', content: results }];
    const message = await client.messages.create({ ...ask(''), tools, messages });
    assert.match(said(message), /The tool answered/);
    const sent = JSON.stringify(await lastPost());
    if (result.is_error) assert.match(sent, /no such city/);
    if (Array.isArray(result.content)) assert.ok(sent.includes(pixel), 'the image goes along');
  }
});

for (const stream of [false, true]) {
  test(`thinking comes back intact on the next turn, ${stream ? 'streamed' : 'collected'}`, async () => {
    const body = ask('What is the weather in Rome?', { tools, thinking: { type: 'enabled', budget_tokens: 2048 } });
    const message = stream ? await client.messages.stream(body).finalMessage() : await client.messages.create(body);
    const [thought] = message.content;
    assert.equal(thought.type, 'thinking');
    assert.ok(thought.thinking.length > 0 && thought.signature.length > 0);
    const use = message.content.find((block) => block.type === 'tool_use');
    const results = [{ type: 'tool_result', tool_use_id: use.id, content: forecast(use.input) }];
    const messages = [...body.messages, { role: 'assistant', content: message.content }, { role: 'user', content: results }];
    const last = await client.messages.create({ ...body, messages });
    assert.match(said(last), /rain in Rome/);
    // The backend's socket goes on only from a reply that comes back as it was: then the state is there already.
    const { input, previous_response_id: previous } = await lastPost();
    const state = input.find((item) => item.type === 'reasoning');
    assert.match(previous ?? state?.encrypted_content ?? 'none', /^(gAAAA|resp_)/, 'the state that the backend made');
    assert.ok(!previous || input.every((item) => item.type === 'function_call_output'), 'and nothing twice');
    assert.ok(!JSON.stringify(await lastPost()).includes(thought.signature), 'and not our envelope');
  });
}

test('adaptive thinking that is not shown still has its state', async () => {
  const message = await client.messages.create(ask('hello', { thinking: { type: 'adaptive', display: 'omitted' }, output_config: { effort: 'high' } }));
  const thought = message.content.find((block) => block.type === 'thinking');
  assert.ok(thought.signature.length > 0);
  assert.equal((await lastPost()).reasoning.effort, 'high');
});

test('limits and stop sequences are honoured here', async () => {
  for (const stream of [false, true]) {
    const run = (body) => (stream ? client.messages.stream(body).finalMessage() : client.messages.create(body));
    const long = await run(ask('count to 1000', { max_tokens: 20 }));
    assert.equal(long.stop_reason, 'max_tokens');
    const words = said(long).trim().split(/\s+/).length;
    assert.ok(words >= 5 && words <= 20, `${words} words`);
    const short = await run(ask('count to 50', { stop_sequences: ['13', '40'] }));
    assert.deepEqual([short.stop_reason, short.stop_sequence], ['stop_sequence', '13']);
    assert.equal(said(short).trim(), '1 2 3 4 5 6 7 8 9 10 11 12');
  }
});

test('a web search with its citations', async () => {
  const body = ask('search for foxes', { tools: [{ type: 'web_search_20250305', name: 'web_search' }] });
  for (const message of [await client.messages.create(body), await client.messages.stream(body).finalMessage()]) {
    const kinds = message.content.map((block) => block.type);
    assert.ok(kinds.includes('server_tool_use') && kinds.includes('web_search_tool_result'), kinds.join());
    const cited = message.content.flatMap((block) => block.citations ?? []);
    assert.match(cited[0].url, /^https:\/\/example\.com/);
  }
});

test('documents and images by address go in', async () => {
  const document = { type: 'document', title: 'Notes', source: { type: 'text', media_type: 'text/plain', data: 'the moon is far' } };
  await client.messages.create(ask([document, { type: 'text', text: 'hello' }]));
  assert.match(JSON.stringify(await lastPost()), /the moon is far/);
  const pdf = { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: 'JVBERi0xLjQK' } };
  await client.messages.create(ask([pdf, { type: 'text', text: 'hello' }]));
  assert.match(JSON.stringify(await lastPost()), /JVBERi0xLjQK/);
  const image = { type: 'image', source: { type: 'url', url: 'https://example.com/a.png' } };
  assert.match(said(await client.messages.create(ask([image, { type: 'text', text: 'hello' }]))), /image at https:\/\/example\.com\/a\.png/);
});

test('true figures of what was read from the cache', async () => {
  const system = [{ type: 'text', text: 'Long. '.repeat(2000), cache_control: { type: 'ephemeral' } }];
  const metadata = { user_id: 'somebody' };
  await client.messages.create(ask('hello', { system, metadata }));
  const { usage } = await client.messages.create(ask('hello', { system, metadata }));
  assert.ok(usage.cache_read_input_tokens >= 1024, JSON.stringify(usage));
  assert.ok(usage.input_tokens < usage.cache_read_input_tokens);
});

test('tokens are counted', async () => {
  const { max_tokens: _, ...short } = ask('hello');
  const small = (await client.messages.countTokens(short)).input_tokens;
  const large = (await client.messages.countTokens({ ...short, system: 'word '.repeat(1000), tools })).input_tokens;
  assert.ok(small > 0 && small < 30, `${small}`);
  assert.ok(large > 1000 && large < 1400, `${large}`);
});

test('models', async () => {
  const page = await client.models.list({ limit: 2 });
  assert.equal(page.data.length, 2);
  const ids = [];
  for await (const model of page) {
    assert.equal(model.type, 'model');
    assert.ok(model.display_name && model.created_at);
    ids.push(model.id);
  }
  assert.ok(ids.includes(MODEL) && new Set(ids).size === ids.length, ids.join());
  assert.equal((await client.models.retrieve(MODEL)).id, MODEL);
  await assert.rejects(client.models.retrieve('no-such-model'), Anthropic.NotFoundError);
});

test('the tool runner of the beta API', async () => {
  const tool = betaZodTool({
    name: weather.name,
    description: weather.description,
    inputSchema: z.object({ city: z.string() }),
    run: forecast,
  });
  const runner = client.beta.messages.toolRunner({ ...ask('What is the weather in Rome?'), tools: [tool] });
  assert.match(said(await runner), /rain in Rome/);
});

test('a look at the root', async () => {
  assert.ok((await fetch(demo.url, { method: 'HEAD' })).ok);
});

const typed = (kind, check = () => true) => (error) => {
  assert.ok(error instanceof kind, `${error?.constructor?.name}: ${error?.message}`);
  check(error);
  return true;
};
const kindIs = (type) => (error) => assert.equal(error.error.error.type, type);

for (const stream of [false, true]) {
  const form = stream ? 'streamed' : 'collected';
  const call = async (body = {}, from = client) => {
    const reply = await from.messages.create({ ...ask('count to 20'), stream, ...body });
    if (!stream) return reply;
    const events = [];
    for await (const event of reply) events.push(event);
    return events;
  };

  test(`401, ${form}`, () =>
    assert.rejects(call({}, demo.anthropic({ apiKey: 'pgk_wrong' })), typed(Anthropic.AuthenticationError, kindIs('authentication_error'))));

  test(`404, ${form}`, () =>
    assert.rejects(call({ model: 'no-such-model' }), typed(Anthropic.NotFoundError, kindIs('not_found_error'))));

  test(`400 with the path of the field, ${form}`, () =>
    assert.rejects(call({ messages: [{ role: 'user', content: [{ type: 'text', text: 7 }] }] }), typed(Anthropic.BadRequestError, (error) => {
      kindIs('invalid_request_error')(error);
      assert.match(error.message, /messages.*content.*text/);
    })));

  test(`an upstream 400 keeps its words, ${form}`, async () => {
    await demo.script({ status: 400, body: { json: { detail: 'Something odd about this request' } } });
    await assert.rejects(call(), typed(Anthropic.BadRequestError, (error) => assert.match(error.message, /odd about this/)));
  });

  test(`5xx after its one more attempt, ${form}`, async () => {
    await demo.script(broken, { times: 2 });
    await assert.rejects(call(), typed(Anthropic.InternalServerError));
  });

  test(`429 with Retry-After, ${form}`, async () => {
    const own = await start('--accounts', '1');
    try {
      await own.script(usageLimit(3600));
      await assert.rejects(call({}, own.anthropic()), typed(Anthropic.RateLimitError, (error) => {
        kindIs('rate_limit_error')(error);
        const seconds = Number(error.headers.get('retry-after'));
        assert.ok(seconds > 3400 && seconds <= 3600, `retry-after ${seconds}`);
      }));
    } finally {
      await own.stop();
    }
  });
}

test('a failure in mid-stream raises', async () => {
  await demo.script(torn);
  const stream = client.messages.stream(ask('count to 20'));
  await assert.rejects(stream.finalMessage(), typed(Anthropic.APIError));
});
