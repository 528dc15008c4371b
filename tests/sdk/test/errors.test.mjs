// Every typed error of the official SDK, before and in mid-stream, for both protocols.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import OpenAI from 'openai';
import { MODEL, broken, start, torn, usageLimit } from '../lib/demo.mjs';

let demo;
let client;
before(async () => {
  demo = await start('--accounts', '1');
  client = demo.openai();
});
after(() => demo.stop());

const calls = {
  chat: (body = {}, from = client) =>
    from.chat.completions.create({ model: MODEL, messages: [{ role: 'user', content: 'count to 20' }], ...body }),
  responses: (body = {}, from = client) => from.responses.create({ model: MODEL, input: 'count to 20', ...body }),
};

async function consume(stream) {
  let text = '';
  for await (const event of stream) text += event.choices?.[0]?.delta?.content ?? (event.delta && event.type?.includes('output_text') ? event.delta : '');
  return text;
}

for (const [name, call] of Object.entries(calls)) {
  test(`${name}: 401 for a wrong key`, async () => {
    const stranger = demo.openai({ apiKey: 'pgk_wrong' });
    await assert.rejects(call({}, stranger), (error) => error instanceof OpenAI.AuthenticationError && error.code === 'invalid_api_key');
  });

  test(`${name}: 404 for an unknown model`, async () => {
    await assert.rejects(call({ model: 'no-such-model' }), (error) => error instanceof OpenAI.NotFoundError && error.code === 'model_not_found');
  });

  test(`${name}: 400 with the path of the field`, async () => {
    const wrong = name === 'chat'
      ? { messages: [{ role: 'user', content: [{ type: 'text', text: 7 }] }] }
      : { input: [{ role: 'user', content: [{ type: 'input_text', text: 7 }] }] };
    await assert.rejects(call(wrong), (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError);
      assert.match(error.param, name === 'chat' ? /^messages\[0\]\.content\[0\]\.text/ : /^input\[0\]\.content\[0\]\.text/);
      return true;
    });
  });

  test(`${name}: an upstream 400 keeps its words`, async () => {
    await demo.script({ status: 400, body: { json: { detail: 'Something odd about this request' } } });
    await assert.rejects(call(), (error) => error instanceof OpenAI.BadRequestError && /odd about this/.test(error.message));
  });

  test(`${name}: 5xx after its one more attempt`, async () => {
    const before = (await demo.posts()).length;
    await demo.script(broken, { times: 2 });
    await assert.rejects(call(), (error) => error instanceof OpenAI.InternalServerError && error.status >= 500);
    assert.equal((await demo.posts()).length - before, 2);
  });

  test(`${name}: a 5xx once is not seen`, async () => {
    await demo.script({ status: 503, body: { json: { error: { message: 'busy', type: 'service_unavailable_error', code: 'x' } } } });
    await call();
  });

  test(`${name}: a failure in mid-stream raises`, async () => {
    await demo.script(torn);
    const stream = await call({ stream: true });
    const before = (await demo.posts()).length;
    let failed = false;
    try {
      const events = [];
      for await (const event of stream) events.push(event);
      failed = events.some((event) => event.type === 'response.failed' || event.type === 'error');
    } catch (error) {
      failed = error instanceof OpenAI.APIError;
    }
    assert.ok(failed, 'the client learns of it');
    assert.equal((await demo.posts()).length, before, 'and nothing is sent twice');
  });

  test(`${name}: a stream that is whole raises nothing`, async () => {
    const text = await consume(await call({ stream: true }));
    assert.equal(text.trim().split(' ').length, 20);
  });
}

for (const [name, call] of Object.entries(calls)) {
  test(`${name}: 429 with Retry-After when the quota is used up`, async () => {
    const own = await start('--accounts', '1');
    try {
      await own.script(usageLimit(3600));
      const sdk = own.openai();
      const again = () => call({}, sdk);
      for (const attempt of ['the first one', 'a later one']) {
        await assert.rejects(again(), (error) => {
          assert.ok(error instanceof OpenAI.RateLimitError, attempt);
          const seconds = Number(error.headers.get('retry-after'));
          assert.ok(seconds > 3400 && seconds <= 3600, `${attempt}: retry-after ${seconds}`);
          return true;
        });
      }
      assert.equal((await own.posts()).length, 1, 'an exhausted account is not asked again');
    } finally {
      await own.stop();
    }
  });
}
