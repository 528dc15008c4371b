// Runs `codex exec` with the gateway as a custom provider, in a home and a folder of its own.

import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const bin = join(dirname(fileURLToPath(import.meta.url)), '..', 'node_modules', '.bin');

/** One run; `more` goes into the provider's table. */
export async function codex(demo, folder, model, prompt, more = '') {
  const home = join(folder, 'codex-home');
  mkdirSync(home, { recursive: true });
  const config = `model = "${model}"
model_provider = "polygate"
[model_providers.polygate]
name = "Polygate"
base_url = "${demo.url}/v1"
wire_api = "responses"
env_key = "POLYGATE_KEY"
${more}
[analytics]
enabled = false
`;
  writeFileSync(join(home, 'config.toml'), config);
  const env = {
    PATH: `${bin}:${process.env.PATH}`,
    HOME: home,
    CODEX_HOME: home,
    POLYGATE_KEY: demo.key,
    // Telemetry and update checks of the client must not leave this machine.
    HTTPS_PROXY: 'http://127.0.0.1:9',
    NO_PROXY: '127.0.0.1,localhost',
  };
  const args = ['exec', '--skip-git-repo-check', '--dangerously-bypass-approvals-and-sandbox', prompt];
  return run(spawn(join(bin, 'codex'), args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] }));
}

/** What a program says until it ends. */
export async function run(child) {
  const [output, errors] = [collect(child.stdout), collect(child.stderr)];
  const code = await new Promise((resolve) => child.once('exit', resolve));
  return { code, output: await output, errors: await errors };
}

async function collect(stream) {
  let text = '';
  for await (const chunk of stream) text += chunk;
  return text;
}
