/** `--metrics ADDRESS` and `syncmount metrics`: the numbers that a mount counts while programs work in it. */
import { request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { cleanUpWorlds, createWorld, type World } from '../world.js';

interface Answer {
  readonly status: number | undefined;
  readonly type: string | undefined;
  readonly text: string;
}

function get(
  where: { readonly port: number } | { readonly socketPath: string },
  path = '/metrics',
  accept = '*/*',
): Promise<Answer> {
  return new Promise((done, failed) => {
    request({ host: '127.0.0.1', ...where, path, headers: { accept } }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (data: string) => {
        text += data;
      });
      response.on('end', () => done({ status: response.statusCode, type: response.headers['content-type'], text }));
    })
      .on('error', failed)
      .end();
  });
}

/** The sum of the samples of a metric whose labels hold this text. */
function sampled(text: string, name: string, labels = ''): number {
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) && line.includes(labels))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  const { port } = server.address() as AddressInfo;
  await new Promise((closed) => server.close(closed));
  return port;
}

describe('the metrics of a mount', () => {
  cleanUpWorlds();
  let world: World;
  beforeEach(async () => {
    world = await createWorld();
  });

  it('count the calls of programs, requests by outcome, bytes, cache and uploads', async () => {
    const socketPath = join(world.directory, 'metrics.sock');
    await world.sandbox.store.putFile('/there', Buffer.alloc(3_000_000, 'x'));
    await world.mount('--metrics', socketPath, '--exclude', '*.tmp');
    expect(await world.shell(`stat -c %a '${socketPath}'`)).toBe('600');
    const before = (await get({ socketPath })).text;
    await world.out(
      'cat there > /dev/null; cat there > /dev/null; head -c 2000000 /dev/zero > a; echo x > b.tmp; ! mkdir a',
    );
    world.sandbox.faults.add({ host: 'upload', action: { kind: 'status', status: 403, code: '403.0100' } });
    await world.sh('echo refused > c');
    const { status, type, text } = await get({ socketPath });
    expect([status, type]).toEqual([200, expect.stringContaining('text/plain')]);
    const grown = (name: string, labels = ''): number => sampled(text, name, labels) - sampled(before, name, labels);
    expect(grown('syncmount_operations_seconds_count', 'operation="create"')).toBe(3);
    expect(grown('syncmount_operations_seconds_count', 'operation="flush"')).toBeGreaterThanOrEqual(3);
    expect(grown('syncmount_operation_errors_total', 'operation="flush"')).toBe(1);
    const requests = world.sandbox.log.entries();
    // The mount may be writing metadata meanwhile.
    const unfinished = async (): Promise<number> =>
      (await world.status()).requests.total - sampled((await get({ socketPath })).text, 'syncmount_requests_total');
    await expect.poll(unfinished).toBe(0);
    expect(sampled(text, 'syncmount_requests_total', 'outcome="4xx"')).toBe(
      requests.filter((entry) => entry.status >= 400 && entry.status < 500).length,
    );
    expect(grown('syncmount_transferred_bytes_total', 'direction="up"')).toBeGreaterThanOrEqual(2_000_000);
    expect(grown('syncmount_transferred_bytes_total', 'direction="up"')).toBeLessThan(2_010_000);
    expect(grown('syncmount_transferred_bytes_total', 'direction="down"')).toBeGreaterThanOrEqual(3_000_000);
    expect(grown('syncmount_transferred_bytes_total', 'direction="down"')).toBeLessThan(3_100_000);
    expect(sampled(text, 'syncmount_cache_bytes')).toBeGreaterThanOrEqual(3_000_000);
    expect(['pending', 'failed', 'excluded'].map((state) => sampled(text, 'syncmount_uploads', `"${state}"`))).toEqual([
      0, 1, 1,
    ]);
    expect(sampled(text, 'syncmount_spool_bytes')).toBe(10);
    expect(text).toMatch(/^syncmount_event_loop_lag_p99_seconds\{account="work"\} /m);
    expect(text).not.toContain('there"');
    await world.cli(['umount', world.mnt]);
    await expect(get({ socketPath })).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('are on a port of this machine, in the format that is asked for, and nothing else is', async () => {
    const port = await freePort();
    await world.mount('--metrics', String(port));
    expect((await get({ port }, '/metrics?x=1', 'application/openmetrics-text;version=1.0.0')).text).toMatch(
      /\n# EOF\n$/,
    );
    expect((await get({ port }, '/')).status).toBe(404);
    expect(await world.shell(`ss -Hltn 'sport = :${port}' | awk '{print $4}'`)).toBe(`127.0.0.1:${port}`);
    const second = join(world.directory, 'second');
    await world.shell(`mkdir '${second}'`);
    await world.signIn('other');
    const told = await world.cli(['mount', 'other:', second, '--metrics', String(port)]);
    expect([told.code, told.stderr]).toEqual([1, expect.stringMatching(/--metrics: cannot listen: .*EADDRINUSE/)]);
  });

  it('are printed for the text-file collector, of all mounts, and by one without --metrics too', async () => {
    await world.mount();
    await world.out('ls');
    const { code, stdout } = await world.cli(['metrics']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^# TYPE syncmount_operations_seconds histogram$/m);
    expect(
      sampled(stdout, 'syncmount_operations_seconds_count', 'operation="readdirplus"') +
        sampled(stdout, 'syncmount_operations_seconds_count', 'operation="readdir"'),
    ).toBeGreaterThan(0);
    expect(stdout).not.toContain('event_loop_lag');
    expect((await world.cli(['metrics', 'work:', '--openmetrics'])).stdout).toMatch(/\n# EOF\n$/);
    await world.umount();
    expect(await world.cli(['metrics'])).toMatchObject({ code: 0, stdout: '' });
    expect((await world.cli(['metrics', 'work:'])).code).toBe(1);
  });

  it('at an address that makes no sense are a mistake in one line', async () => {
    for (const address of ['everywhere', '127.0.0.1', '99999', 'example.org:80']) {
      const { code, stderr } = await world.cli(['mount', 'work:', world.mnt, '--metrics', address]);
      expect([code, stderr]).toEqual([2, expect.stringMatching(/^syncmount: --metrics: .* is neither IP:PORT.*\n$/)]);
    }
  });
});
