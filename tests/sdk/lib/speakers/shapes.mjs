// What the conversations are about: one prompt for each verb, a tool, an image and a shape, in the forms that SDKs want.

import { z } from 'zod';

export const asks = {
  collects: 'Reply with exactly: pong',
  streams: 'count to 30',
  calls: 'What is the weather in both Rome and Oslo?',
  fits: 'Describe a thing',
  sees: 'What is this?',
};

export const weather = {
  name: 'get_weather',
  description: 'The weather of a city',
  schema: {
    type: 'object',
    properties: { city: { type: 'string', description: 'Its name' } },
    required: ['city'],
    additionalProperties: false,
  },
};

/** What the tool says. */
export const forecast = ({ city }) => `rain in ${city}`;

/** A structured answer with what schemas are made of. */
export const thing = z.object({
  title: z.string(),
  points: z.array(z.object({ x: z.number(), label: z.string() })),
  kind: z.enum(['small', 'large']),
  note: z.string().nullable(),
});

/** The same as JSON Schema. */
export const thingSchema = {
  type: 'object',
  properties: {
    title: { type: 'string' },
    points: {
      type: 'array',
      items: {
        type: 'object',
        properties: { x: { type: 'number' }, label: { type: 'string' } },
        required: ['x', 'label'],
        additionalProperties: false,
      },
    },
    kind: { type: 'string', enum: ['small', 'large'] },
    note: { anyOf: [{ type: 'string' }, { type: 'null' }] },
  },
  required: ['title', 'points', 'kind', 'note'],
  additionalProperties: false,
};

/** A white pixel, 68 bytes of PNG. */
export const pixel =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+M8AAAMBAQDJ/pLvAAAAAElFTkSuQmCC';

/** What the backend says of it. */
export const seen = new RegExp(`an image of ${Buffer.from(pixel, 'base64').length} bytes`);
