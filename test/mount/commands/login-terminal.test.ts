import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { AnySandboxOptions } from '../../../src/sandbox/index.js';
import { cleanUpWorlds, createServiceWorld, type World } from '../world.js';

/** script(1) of util-linux gives a program a terminal. */
const hasTerminal = spawnSync('script', ['--version']).status === 0;

/** `syncmount login` at a terminal: a person answers each question. */
class Terminal {
  readonly ended: Promise<number | null>;
  said = '';
  readonly #child: ChildProcess;

  constructor(world: World, provider: string, ...more: string[]) {
    const endpoints = Object.entries(world.sandbox.endpoints).flatMap(([key, url]) => ['--endpoint', `${key}=${url}`]);
    const words = [process.execPath, resolve('bin/syncmount.js'), 'login', 'work', '--provider', provider];
    const command = [...words, ...endpoints, ...more].map((word) => `'${word}'`).join(' ');
    this.#child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], { env: world.env });
    this.#child.stdout?.on('data', (data) => {
      this.said += data;
    });
    this.ended = new Promise((end) => this.#child.on('close', end));
  }

  async answer(question: RegExp, text: string): Promise<void> {
    await this.until(question);
    this.#child.stdin?.write(`${text}\r`);
  }

  async until(what: RegExp): Promise<string> {
    for (;;) {
      const found = what.exec(this.said);
      if (found !== null) return found[0];
      await new Promise<void>((again, failed) => {
        this.#child.stdout?.once('data', () => again());
        this.#child.once('close', () => failed(new Error(`it ended before ${what}: ${this.said}`)));
      });
    }
  }

  /** The command lines of all processes, as anybody on the machine can read them. */
  static processes(): string {
    return spawnSync('ps', ['axww', '-o', 'args']).stdout.toString();
  }
}

describe.skipIf(!hasTerminal)('a login at a terminal (needs script of util-linux)', () => {
  cleanUpWorlds();

  it('asks for the API key of 5sync, and shows it nowhere', async () => {
    const world = await createServiceWorld({ provider: '5sync' } as AnySandboxOptions, true);
    const { apiKey } = world.sandbox.credentials as unknown as { apiKey: string };
    const terminal = new Terminal(world, '5sync');
    await terminal.answer(/API key \(not shown\): /, apiKey);
    expect(await terminal.ended).toBe(0);
    expect(terminal.said).toMatch(/Logged in to 5sync/);
    expect(terminal.said).not.toContain(apiKey);
    await world.mount();
    expect(Terminal.processes()).not.toContain(apiKey);
    expect(await world.log()).not.toContain(apiKey);
  });

  it('asks for the name and the password of Acronis, and shows the password nowhere', async () => {
    const world = await createServiceWorld({ provider: 'acronis' } as AnySandboxOptions, true);
    const { username, password } = world.sandbox.credentials as unknown as { username: string; password: string };
    const wrong = new Terminal(world, 'acronis');
    await wrong.answer(/Acronis login: /, username);
    await wrong.answer(/Password \(not shown\): /, 'mistyped');
    expect(await wrong.ended).toBe(1);
    expect(wrong.said).not.toContain('mistyped');

    const terminal = new Terminal(world, 'acronis');
    await terminal.answer(/Acronis login: /, username);
    await terminal.answer(/Password \(not shown\): /, password);
    expect(await terminal.ended).toBe(0);
    expect(terminal.said).toMatch(/Logged in to /);
    expect(terminal.said).not.toContain(password);
    await world.mount();
    await world.out('echo x > file && cat file');
    expect(Terminal.processes()).not.toContain(password);
    expect(await world.log()).not.toContain(password);
  });

  it('sends a person with a client of his own to the browser, and takes the code that comes back', async () => {
    const world = await createServiceWorld(
      { provider: 'acronis', readings: { autoApprove: true } } as AnySandboxOptions,
      true,
    );
    const { clientId, clientSecret } = world.sandbox.credentials as unknown as Record<string, string>;
    const file = await world.write('client.json', JSON.stringify({ clientId, clientSecret }));
    const terminal = new Terminal(world, 'acronis', '--credentials', file);
    const url = await terminal.until(/http:\S+authorize\S+/);
    const page = await fetch(url);
    expect(await page.text()).toMatch(/has access now/);
    expect(await terminal.ended).toBe(0);
    const stored = JSON.parse(readFileSync(`${world.env.SYNCMOUNT_CONFIG_DIR}/accounts/work.json`, 'utf8'));
    expect(Object.keys(stored.credentials)).toEqual(expect.arrayContaining(['accessToken', 'refreshToken']));
    for (const secret of Object.values(stored.credentials as Record<string, string>)) {
      if (secret !== clientId) expect(terminal.said).not.toContain(secret);
    }
    await world.mount();
  });
});
