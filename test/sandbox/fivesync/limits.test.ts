import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FiveSyncSandbox, startSandbox } from '../../../src/sandbox/index.js';
import { Client, refusal } from './client.js';

let sandbox: FiveSyncSandbox;
let client: Client;
/** The server's clock, which only the tests move. */
let now = 0;
beforeEach(async () => {
  now = Date.parse('2025-02-10T14:22:00.700Z');
  sandbox = await startSandbox({ provider: '5sync', plan: 'starter', now: () => now });
  client = new Client(sandbox);
});
afterEach(() => sandbox.close());

const rate = ({ headers }: Response) =>
  ['limit', 'remaining', 'reset'].map((name) => Number(headers.get(`x-ratelimit-${name}`)));

describe('the rate limit', () => {
  it('rolls over an hour, and every answer tells of it', async () => {
    const start = Math.ceil(now / 1000);
    for (let n = 1; n <= 60; n++) {
      const answer = await client.send('GET', n % 2 ? '/files' : '/nothing');
      expect(rate(answer)).toEqual([60, 60 - n, start + 3600]);
      if (n === 1) now += 10_000;
    }
    const refused = await client.send('GET', '/files');
    expect(rate(refused)).toEqual([60, 0, start + 3600]);
    expect(refused.headers.get('retry-after')).toBeNull();
    const body = (await refused.json()) as { error: { message: string } };
    expect(body.error.message).toBe('Rate limit exceeded. Try again in 3590 seconds.');

    now += 3_590_000;
    expect(rate(await client.send('GET', '/files'))[1]).toBe(0);
    expect(await refusal(client.send('GET', '/files'))).toBe('429 rate_limit_exceeded');
    now += 10_000;
    expect(rate(await client.send('GET', '/files'))[1]).toBe(58);
  });

  it('is of each key, told with a 401 too, and can carry Retry-After', async () => {
    sandbox.settings.requestsPerHour = 1;
    await client.list();
    sandbox.readings.retryAfter = true;
    expect((await client.send('GET', '/files')).headers.get('retry-after')).toBe('3600');
    expect(await new Client(sandbox, sandbox.tokens.issue()).list()).toMatchObject({ total: 0 });
    expect(rate(await new Client(sandbox, 'sk_5s_none').send('GET', '/files')).slice(0, 2)).toEqual([1, 1]);
    sandbox.rate.reset();
    expect((await client.list()).total).toBe(0);
  });
});

describe('GET /v1/changes', () => {
  const since = '2025-02-10T14:22:00Z';

  it('tells what happened, in order', async () => {
    const a = await client.file('a', '1', '/d');
    now += 5000;
    await client.file('a', '2', '/d');
    const b = await client.file('b', '', '/d/e');
    now += 5000;
    await client.send('DELETE', `/files/${a.id}`);
    const changes = await client.changes(`since=${since}`);
    expect(changes.events).toEqual([
      { id: a.id, action: 'created', timestamp: '2025-02-10T14:22:00Z' },
      { id: a.id, action: 'modified', timestamp: '2025-02-10T14:22:05Z' },
      { id: b.id, action: 'created', timestamp: '2025-02-10T14:22:05Z' },
      { id: a.id, action: 'deleted', timestamp: '2025-02-10T14:22:10Z' },
    ]);
    expect(changes.has_more).toBe(false);
    expect(changes.cursor).toMatch(/^c_/);
    expect((await client.changes(`since=${since}&path=/d/e`)).events).toHaveLength(1);
    expect((await client.changes('since=2025-02-10T14:22:10Z')).events).toHaveLength(1);
    sandbox.readings.since = 'exclusive';
    expect((await client.changes('since=2025-02-10T14:22:10Z')).events).toHaveLength(0);
    expect((await client.changes('since=2025-02-10T15:22:05%2B01:00')).events).toHaveLength(1);
  });

  it('refuses what is no time', async () => {
    for (const query of ['', '?since=', '?since=yesterday', '?since=1739197320', `?since=${since}&limit=1`])
      expect(await refusal(client.send('GET', `/changes${query}`))).toBe('400 bad_request');
  });

  it('goes on in pages by time or by cursor, whichever way is read', async () => {
    sandbox.settings.requestsPerHour = 0;
    sandbox.settings.eventsPerAnswer = 3;
    const all: string[] = [];
    for (let n = 0; n < 20; n++) {
      all.push((await sandbox.store.putFile(`/f${n}`, '')).id);
      if (n % 7 === 6) now += 1000;
    }
    for (const bound of ['inclusive', 'exclusive'] as const) {
      sandbox.readings.since = bound;
      const seen = new Set<string>();
      let from = bound === 'inclusive' ? since : '2025-02-10T14:21:59Z';
      for (let more = true, rounds = 0; more; rounds++) {
        const page = await client.changes(`since=${from}`);
        for (const { id } of page.events) seen.add(id);
        more = page.has_more;
        from = page.events.at(-1)?.timestamp ?? from;
        expect(rounds).toBeLessThan(10);
      }
      expect([...seen]).toEqual(all);
    }
    const first = await client.changes('since=2025-02-10T14:21:59Z');
    const again = await client.changes(`since=2025-02-10T14:21:59Z&cursor=${first.cursor}`);
    expect(again.events).toEqual(first.events);
    sandbox.readings.cursor = 'usable';
    const next = await client.changes(`since=2025-02-10T14:21:59Z&cursor=${first.cursor}`);
    expect(next.events[0]?.id).toBe(all[first.events.length]);
    sandbox.readings.cursor = 'refused';
    expect(await refusal(client.send('GET', `/changes?since=${since}&cursor=c_1`))).toBe('400 bad_request');
  });

  it('may lag, and the clock may be wrong', async () => {
    sandbox.readings.clockSkewSeconds = 100;
    const answer = await client.put('a', '');
    expect(answer.headers.get('date')).toBe('Mon, 10 Feb 2025 14:23:40 GMT');
    expect((await client.changes(`since=${since}`)).events[0]?.timestamp).toBe('2025-02-10T14:23:40Z');
    sandbox.readings.changesLagSeconds = 30;
    expect((await client.changes(`since=${since}`)).events).toEqual([]);
    now += 30_000;
    expect((await client.changes(`since=${since}`)).events).toHaveLength(1);
  });
});
