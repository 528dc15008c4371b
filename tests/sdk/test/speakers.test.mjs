// Every official SDK to every upstream: the ChatGPT backend with both request shapes, and a relay of each kind.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { CLASSIC, MODEL, OLLAMA, start } from '../lib/demo.mjs';
import { speakers, verbs } from '../lib/speakers.mjs';

// Newer models of the backend are asked for one call at a time, as its own client does.
const upstreams = [MODEL, CLASSIC, 'chat:llama-4-scout', 'chat:gpt-5-nano', 'responses:gpt-5-mini', 'messages:claude-haiku-5', 'gemini:gemini-3.8-pro'];

let demo;
before(async () => {
  demo = await start(...OLLAMA);
  for (const wire of ['chat', 'responses', 'messages', 'gemini']) await demo.relay(wire);
});
after(async () => {
  const { offences, requests } = await demo.record();
  await demo.stop();
  assert.deepEqual(offences, [], 'nothing that a correct client does not do');
  const refused = requests.filter((seen) => seen.status >= 400).map((seen) => `${seen.path} ${seen.status}`);
  assert.deepEqual(refused, [], 'nothing that a strict upstream refuses, not even once');
});

for (const [name, speaker] of Object.entries(speakers)) {
  for (const model of upstreams) {
    for (const verb of verbs) {
      test(`${name} ${verb} with ${model}`, () => speaker({ ...demo.at(model), single: model === MODEL })[verb]());
    }
  }
}
