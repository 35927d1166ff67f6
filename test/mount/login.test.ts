import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cleanUpWorlds, createWorld } from './world.js';

describe('the login that a person walks through', () => {
  cleanUpWorlds();

  it.each(['used', 'unused'] as const)(
    'prints a page, waits for the browser to come back, and stores what works (verifier %s)',
    async (verifier) => {
      const world = await createWorld({ loggedOut: true, readings: { autoApprove: true, verifier } });
      const { endpoints, credentials } = world.sandbox;
      const { consumerKey, consumerSecret } = credentials;
      const child = spawn(
        process.execPath,
        [
          ...[resolve('bin/syncmount.js'), 'login', 'work', '--provider', '4shared', '--credentials', '-'],
          ...['--endpoint', `api=${endpoints.api}`, '--endpoint', `upload=${endpoints.upload}`],
        ],
        { env: world.env },
      );
      child.stdin.end(JSON.stringify({ consumerKey, consumerSecret }));
      let said = '';
      const ended = new Promise((end) => child.on('close', end));
      const url = await new Promise<string>((found) => {
        child.stdout.on('data', (data) => {
          said += data;
          const page = /http:\S+authorize\S+/.exec(said)?.[0];
          if (page !== undefined) found(page);
        });
      });
      // The person's browser: it follows the provider's redirect back to the program.
      const page = await fetch(url);
      expect(await page.text()).toMatch(/has access now/);
      expect(await ended).toBe(0);
      expect(said).toMatch(/Logged in to 4shared/);
      expect(said).not.toContain(consumerSecret);
      await world.mount();
      await world.out('echo x > file && cat file');
    },
  );
});
