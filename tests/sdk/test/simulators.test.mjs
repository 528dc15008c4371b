// The official SDKs against the relay simulators themselves: what plays the provider must satisfy the provider's own SDK.

import { after, before, test } from 'node:test';
import { start } from '../lib/demo.mjs';
import { speakers, verbs } from '../lib/speakers.mjs';

const plays = [
  ['openai chat', 'chat', ['llama-4-scout', 'deepseek-r2', 'gpt-4.1-mini', 'gpt-5-nano']],
  ['ai openai chat', 'chat', ['llama-4-scout', 'gpt-5-nano']],
  ['openai responses', 'responses', ['gpt-5-mini', 'gpt-4.1']],
  ['ai openai responses', 'responses', ['gpt-5-mini', 'gpt-4.1']],
  ['anthropic', 'messages', ['claude-opus-5-5', 'claude-haiku-5']],
  ['ai anthropic', 'messages', ['claude-opus-5-5']],
  ['google', 'gemini', ['gemini-3.8-pro', 'gemini-3.8-flash']],
  ['ai google', 'gemini', ['gemini-3.8-pro']],
];

let demo;
before(async () => {
  demo = await start();
});
after(() => demo.stop());

for (const [name, wire, models] of plays) {
  for (const model of models) {
    for (const verb of verbs) {
      test(`${name} ${verb} with ${model}`, () => {
        const root = `${demo.offline}/relay/${wire}`;
        return speakers[name]({ root, key: 'sk-offline-direct', model })[verb]();
      });
    }
  }
}
