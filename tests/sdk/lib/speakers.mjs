// The same conversation through every official SDK. A speaker is made for a place ({root, key, model}: a gateway, a relay
// behind it, or a simulator itself) and has five verbs; each checks what the SDK hands over and returns nothing.

import assert from 'node:assert/strict';
import { anthropic } from './speakers/anthropic.mjs';
import { google } from './speakers/google.mjs';
import { ollama } from './speakers/ollama.mjs';
import { chat, responses } from './speakers/openai.mjs';
import { vercel } from './speakers/vercel.mjs';

/** Every speaker by its name; Vercel's package brings four providers of its own. */
export const speakers = { 'openai chat': chat, 'openai responses': responses, anthropic, google, ollama, ...vercel };

/** The verbs of a speaker. */
export const verbs = ['collects', 'streams', 'calls', 'fits', 'sees'];

/** What a stream of `count to 30` says. */
export const thirty = Array.from({ length: 30 }, (_, i) => i + 1).join(' ');

/** Calls in parallel were made, each for a city of its own; by a model that makes one at a time, one (`at.single`). */
export function called(at, inputs) {
  const cities = inputs.map((input) => input.city).sort();
  assert.deepEqual(cities, at.single ? ['Rome'] : ['Oslo', 'Rome']);
}

/** The answer quotes the results. */
export function quotes(at, text) {
  assert.match(text, /rain in Rome/);
  if (!at.single) assert.match(text, /rain in Oslo/);
}
