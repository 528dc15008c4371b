// The binary under test: `polygate demo` on its made-up backend, and that backend's control side.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import { Ollama } from 'ollama';
import OpenAI from 'openai';

// Vercel's package tells every warning once on standard error; the tests look at results.
globalThis.AI_SDK_LOG_WARNINGS = false;

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

  anthropic(options = {}) {
    return new Anthropic({ baseURL: this.url, apiKey: this.key, maxRetries: 0, ...options });
  }

  google(options = {}) {
    return new GoogleGenAI({ apiKey: this.key, httpOptions: { baseUrl: this.url }, ...options });
  }

  /** Its listener is off unless the demo was started with [`OLLAMA`]. */
  ollamas() {
    return new Ollama({ host: this.ollama });
  }

  /** The place of a model for the speakers. */
  at(model) {
    return { root: this.url, key: this.key, ollama: this.ollama, model };
  }

  /** Adds a relay to one of the simulators. */
  async add(wire, name, key, rest = {}) {
    const path = { chat: 'chat/v1', responses: 'responses/v1', messages: 'messages/v1', gemini: 'gemini' }[wire];
    const body = { name, baseUrl: `${this.offline}/relay/${path}`, apiKey: key, wire, allowPrivate: true, ...rest };
    await this.administer('POST', body);
  }

  /** The same; its models are `NAME:MODEL` then. */
  async relay(wire, name = wire, key = `sk-offline-${name}`, rest = {}) {
    await this.add(wire, name, key, rest);
    // Its models are asked for in the background.
    for (let tries = 0; tries < 500; tries += 1) {
      const { keys } = await this.administer('GET');
      const entry = keys.find((relay) => relay.label === name);
      if (entry.listed > 0 || entry.status !== 'active') return entry;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error(`relay ${name} lists no models`);
  }

  /** The relays, or a change to them. */
  async administer(method, body) {
    const headers = { authorization: `Bearer ${this.admin}`, 'content-type': 'application/json' };
    const answer = await fetch(`${this.url}/auth/api-keys`, { method, headers, body: body && JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${method} /auth/api-keys: ${answer.status} ${await answer.text()}`);
    return answer.json();
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

  /** The model requests that the backend saw, or a relay (`chat_relay`, ...). */
  async posts(place = 'responses') {
    const record = await this.record();
    return record.requests.filter((seen) => seen.place === place);
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

/** Starts Ollama's listener too. */
export const OLLAMA = ['--set', 'ollama.enabled=true', '--set', 'ollama.port=0'];

/** 429 of an account whose quota is used up for so many seconds. */
export const usageLimit = (seconds) => ({
  status: 429,
  body: {
    json: {
      error: {
        type: 'usage_limit_reached',
        message: 'The usage limit has been reached',
        plan_type: 'plus',
        resets_at: Math.floor(Date.now() / 1000) + seconds,
        resets_in_seconds: seconds,
        eligible_promo: null,
      },
    },
  },
});

/** A 5xx of the backend. */
export const broken = { status: 500, body: { json: { error: { message: 'boom', type: 'server_error', code: null } } } };

/** A reset in the middle of a stream. */
export const torn = { shape: { stop: { at: { event: 12 }, how: 'reset' } } };

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
