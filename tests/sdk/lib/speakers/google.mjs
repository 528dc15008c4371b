// The `@google/genai` package.

import assert from 'node:assert/strict';
import { GoogleGenAI, Type } from '@google/genai';
import { called, quotes, thirty } from '../speakers.mjs';
import { asks, forecast, pixel, seen, thing, thingSchema, weather } from './shapes.mjs';

/** The tool in Google's own schema dialect. */
const declared = {
  name: weather.name,
  description: weather.description,
  parameters: { type: Type.OBJECT, properties: { city: { type: Type.STRING } }, required: ['city'] },
};

/** The shape in Google's own schema dialect. */
const own = {
  type: Type.OBJECT,
  properties: {
    title: { type: Type.STRING },
    points: {
      type: Type.ARRAY,
      items: {
        type: Type.OBJECT,
        properties: { x: { type: Type.NUMBER }, label: { type: Type.STRING } },
        required: ['x', 'label'],
        propertyOrdering: ['x', 'label'],
      },
    },
    kind: { type: Type.STRING, format: 'enum', enum: ['small', 'large'] },
    note: { type: Type.STRING, nullable: true },
  },
  required: ['title', 'points', 'kind', 'note'],
};

/** Everything of a stream: its chunks, their parts in one content, and their text. */
export async function gather(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  const parts = chunks.flatMap((chunk) => chunk.candidates?.[0]?.content?.parts ?? []);
  const text = parts.map((part) => (part.thought ? '' : part.text ?? '')).join('');
  return { chunks, parts, text };
}

export function google(at) {
  const { root, key, model } = at;
  const { models } = new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl: root } });
  return {
    async collects() {
      const reply = await models.generateContent({ model, contents: asks.collects });
      assert.equal(reply.text, 'pong');
      assert.equal(reply.candidates[0].finishReason, 'STOP');
      assert.ok(reply.usageMetadata.promptTokenCount > 0 && reply.usageMetadata.candidatesTokenCount > 0);
    },
    async streams() {
      const { chunks, text } = await gather(await models.generateContentStream({ model, contents: asks.streams }));
      assert.equal(text.trim(), thirty);
      assert.equal(chunks.filter((chunk) => chunk.candidates?.[0]?.finishReason).length, 1);
      assert.ok(chunks.at(-1).usageMetadata.candidatesTokenCount >= 30);
    },
    async calls() {
      const user = { role: 'user', parts: [{ text: asks.calls }] };
      const forms = [declared, { name: weather.name, description: weather.description, parametersJsonSchema: weather.schema }];
      for (const [nth, form] of forms.entries()) {
        const config = { tools: [{ functionDeclarations: [form] }] };
        const body = { model, contents: [user], config };
        const parts =
          nth === 0
            ? (await models.generateContent(body)).candidates[0].content.parts
            : (await gather(await models.generateContentStream(body))).parts.filter((part) => part.text !== '');
        const calls = parts.filter((part) => part.functionCall).map((part) => part.functionCall);
        called(at, calls.map((call) => call.args));
        const results = calls.map(({ id, name, args }) => ({
          functionResponse: { ...(id && { id }), name, response: { output: forecast(args) } },
        }));
        const contents = [user, { role: 'model', parts }, { role: 'user', parts: results }];
        quotes(at, (await models.generateContent({ model, contents, config })).text);
      }
    },
    async fits() {
      for (const form of [{ responseSchema: own }, { responseJsonSchema: thingSchema }]) {
        const config = { responseMimeType: 'application/json', ...form };
        thing.parse(JSON.parse((await models.generateContent({ model, contents: asks.fits, config })).text));
      }
    },
    async sees() {
      const parts = [{ inlineData: { mimeType: 'image/png', data: pixel } }, { text: asks.sees }];
      assert.match((await models.generateContent({ model, contents: [{ role: 'user', parts }] })).text, seen);
    },
  };
}
