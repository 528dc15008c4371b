// The binary under test: `polygate demo` on its made-up backend, and that backend's control side.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import OpenAI from 'openai';

const binary = process.env.POLYGATE_BIN;
if (!binary) throw new Error('POLYGATE_BIN is not set; run `cargo xtask test --sdk`');

/** Starts a demo; resolves once it listens. */
export async function start(...args) {
  const child = spawn(binary, ['--json', 'demo', '--port', '0', '--pace', '0', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const lines = createInterface({ input: child.stdout });
  const first = await new Promise((resolve, reject) => {
    lines.once('line', resolve);
    ended.then((code) => reject(new Error(`polygate demo ended with ${code}`)));
  });
  return new Demo(child, ended, JSON.parse(first));
}

class Demo {
  constructor(child, ended, facts) {
    Object.assign(this, { child, ended, ...facts });
  }

  /** An official client; no retries of its own, so that every request is one request. */
  openai(options = {}) {
    return new OpenAI({ baseURL: `${this.url}/v1`, apiKey: this.key, maxRetries: 0, ...options });
  }

  /** Plans the answer of the next matching model request (see the crate `offline`). */
  script(plan, rule = {}) {
    return this.control('script', { plan, ...rule });
  }

  /** Everything the backend saw. */
  async record() {
    const answer = await fetch(`${this.offline}/offline/record`);
    return answer.json();
  }

  /** The model requests that the backend saw. */
  async posts() {
    const record = await this.record();
    return record.requests.filter((seen) => seen.place === 'responses');
  }

  reset() {
    return this.control('reset', {});
  }

  async control(path, body) {
    const answer = await fetch(`${this.offline}/offline/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  async stop() {
    this.child.kill('SIGTERM');
    await this.ended;
  }
}

export const MODEL = 'gpt-6-sol';
export const CLASSIC = 'gpt-5.5';

/** A tool in chat's form. */
export const weather = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'The weather of a city',
    parameters: {
      type: 'object',
      properties: { city: { type: 'string' }, days: { type: 'integer' } },
      required: ['city', 'days'],
      additionalProperties: false,
    },
    strict: true,
  },
};

/** The same in responses' form. */
export const flatWeather = { type: 'function', ...weather.function };

/** A white pixel. */
export const pixel =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+M8AAAMBAQDJ/pLvAAAAAElFTkSuQmCC';
