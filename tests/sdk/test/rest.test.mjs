// The rest of OpenAI's API for accounts, through the official SDK: pictures, compaction, token counts, bare completions.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import OpenAI, { toFile } from 'openai';
import { CLASSIC, MODEL, start } from '../lib/demo.mjs';

let demo;
let client;
before(async () => {
  demo = await start();
  client = demo.openai();
});
after(() => demo.stop());

const isPng = (data) => Buffer.from(data[0].b64_json, 'base64').subarray(1, 4).toString() === 'PNG';

test('pictures are drawn and changed', async () => {
  const drawn = await client.images.generate({ model: 'gpt-image-2', prompt: 'a fox', size: '1024x1536', quality: 'low' });
  assert.ok(isPng(drawn.data));
  assert.equal(drawn.size, '1024x1536');
  assert.ok(drawn.usage.total_tokens > 0);
  const png = Buffer.from(drawn.data[0].b64_json, 'base64');
  const image = await toFile(png, 'fox.png', { type: 'image/png' });
  const changed = await client.images.edit({ model: 'gpt-image-2', image: [image, image], prompt: 'a hat' });
  assert.ok(isPng(changed.data));
  const [edit] = (await demo.posts('images')).slice(-1);
  assert.equal(edit.body.images.length, 2);
});

test('what accounts cannot draw is refused by name', async () => {
  const wishes = [{ n: 2 }, { style: 'vivid' }, { size: '7x7' }, { response_format: 'url' }];
  for (const wish of wishes) {
    const asked = client.images.generate({ model: 'gpt-image-2', prompt: 'a fox', ...wish });
    await assert.rejects(asked, (error) => error instanceof OpenAI.BadRequestError && error.param === Object.keys(wish)[0]);
  }
  const other = client.images.generate({ model: 'dall-e-3', prompt: 'a fox' });
  await assert.rejects(other, OpenAI.NotFoundError);
});

for (const model of [MODEL, CLASSIC]) {
  test(`a conversation with ${model} is compacted and goes on`, async () => {
    const input = [
      { role: 'user', content: 'Remember the fox.' },
      { role: 'assistant', content: 'I do.' },
    ];
    const compacted = await client.responses.compact({ model, input, instructions: 'Be short.' });
    assert.equal(compacted.object, 'response.compaction');
    assert.deepEqual(compacted.output.map((item) => item.type), ['message', 'compaction']);
    assert.ok(compacted.usage.input_tokens > 0);
    const next = { role: 'user', content: 'Reply with exactly: on' };
    const reply = await client.responses.create({ model, input: [...compacted.output, next] });
    assert.equal(reply.output_text, 'on');
  });
}

test('input tokens are counted', async () => {
  const few = await client.responses.inputTokens.count({ model: MODEL, input: 'Hello' });
  const more = await client.responses.inputTokens.count({ model: MODEL, input: 'Hello, how are you?', instructions: 'Be terse.' });
  assert.equal(few.object, 'response.input_tokens');
  assert.ok(more.input_tokens > few.input_tokens && few.input_tokens > 0);
});

test('a bare prompt is completed', async () => {
  const whole = await client.completions.create({ model: MODEL, prompt: 'count to 5', max_tokens: 2000 });
  assert.equal(whole.object, 'text_completion');
  assert.equal(whole.choices[0].text, '1 2 3 4 5');
  assert.equal(whole.choices[0].finish_reason, 'stop');
  const options = { model: MODEL, prompt: 'count to 5', stream: true, stream_options: { include_usage: true } };
  let text = '';
  let usage;
  for await (const chunk of await client.completions.create(options)) {
    text += chunk.choices[0]?.text ?? '';
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, '1 2 3 4 5');
  assert.ok(usage.total_tokens > 0);
  await assert.rejects(client.completions.create({ model: MODEL, prompt: 'x', best_of: 2 }), OpenAI.BadRequestError);
});
