/** The messages of a foreground mount to systemd, and its end by systemd. A real socket stands for the service manager. */
import { describe, expect, it } from 'vitest';
import {
  ServiceManager,
  serviceManagerOf,
  statusLine,
  watchdogOf,
} from '../../../src/mount/control/service-manager.js';
import type { MountStatus } from '../../../src/mount/control/status.js';
import { cleanUpWorlds, createWorld, type World } from '../world.js';

/** Prints each message that comes to the socket, with `|` between its lines. */
const listener = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print('listening', flush=True)
while True:
    message = s.recv(65536).decode().replace('\\n', '|')
    open(sys.argv[2], 'a').write(message + '\\n')
`;

async function listen(world: World): Promise<{ messages(): Promise<string[]>; readonly env: string; end(): void }> {
  await world.write('listener.py', listener);
  const { child, first } = world.start('cd /; exec python3 "$TOP/listener.py" "$TOP/notify" "$TOP/messages"');
  await first;
  return {
    messages: async () => (await world.shell('cat "$TOP/messages" 2> /dev/null || true')).split('\n'),
    env: 'NOTIFY_SOCKET="$TOP/notify" WATCHDOG_USEC=400000',
    end: () => child.kill(),
  };
}

describe('a mount as a service of systemd', () => {
  cleanUpWorlds();

  it('says when it is ready, what waits, and that it is alive; a stop stores what waits', async () => {
    const world = await createWorld();
    const { messages, env, end } = await listen(world);
    const mount = world.start(
      `cd /; ${env} exec $SYNCMOUNT mount work: "$MNT" --foreground --write-back --stop-timeout 60s`,
    );
    await expect.poll(messages).toContain('READY=1|STATUS=everything is stored');
    await expect.poll(async () => (await messages()).filter((line) => line === 'WATCHDOG=1').length).toBeGreaterThan(2);
    world.sandbox.settings.latencyMs = 3000;
    await world.out('echo content > file.txt');
    await expect.poll(messages).toContain('STATUS=1 file to upload, 8 B left');
    mount.child.kill('SIGTERM');
    expect((await mount.ended).code).toBe(0);
    expect(await messages()).toContain('STOPPING=1');
    expect(`${await world.sandbox.store.readFile('/file.txt')}`).toBe('content\n');
    end();
  });

  it('ends after --stop-timeout although an upload hangs; the next mount stores it', async () => {
    const world = await createWorld();
    const mount = world.start('cd /; exec $SYNCMOUNT mount work: "$MNT" -f --write-back --stop-timeout 500ms');
    await mount.first;
    const writer = world.start(
      'exec 3> file.txt; echo content >&3; echo open; while [ ! -e "$TOP/go" ]; do sleep 0.05; done',
    );
    await writer.first;
    world.sandbox.settings.latencyMs = 60_000;
    await world.write('go', '');
    expect((await writer.ended).code).toBe(0);
    mount.child.kill('SIGTERM');
    expect((await mount.ended).code).toBe(0);
    expect(await world.shell('mountpoint -q "$MNT" || echo gone')).toBe('gone');
    world.sandbox.settings.latencyMs = 0;
    await world.mount();
    await world.untilWaiting(0, 0);
    expect(`${await world.sandbox.store.readFile('/file.txt')}`).toBe('content\n');
    await world.umount();
  });

  it('ends after --stop-timeout although a program writes; what it has written is kept', async () => {
    const world = await createWorld();
    const mount = world.start('cd /; exec $SYNCMOUNT mount work: "$MNT" -f --write-back --stop-timeout 1500ms');
    await mount.first;
    const writer = world.start(
      'exec 3> open.txt; echo one >&3; echo open; while [ ! -e "$TOP/go" ]; do sleep 0.05; done',
    );
    await writer.first;
    mount.child.kill('SIGTERM');
    expect((await mount.ended).code).toBe(0);
    await world.write('go', '');
    await writer.ended;
    await world.mount();
    expect(await world.out('cat open.txt')).toBe('one');
    await world.umount();
  });
});

describe('what is told to a service manager', () => {
  const status = (given: Partial<MountStatus>): MountStatus => ({ pending: [], failed: [], ...given }) as MountStatus;
  const upload = (size: number, sent = 0) => ({ path: '/x', size, sent, state: 'waiting' });

  it.each<[Partial<MountStatus>, string]>([
    [{}, 'everything is stored'],
    [{ pending: [upload(2048, 1024)] }, '1 file to upload, 1.0 KiB left'],
    [
      { pending: [upload(1), upload(2)], failed: [upload(3)] },
      '2 files to upload, 3 B left; 1 file failed to upload: see syncmount status',
    ],
    [{ outage: { since: 0, error: 'no answer' } }, 'the service does not answer (no answer); everything is stored'],
    [{ metadata: { pending: 3 } }, '3 changes of metadata to store'],
    [
      { login: 'syncmount login work --provider 5sync' },
      'the login was refused: syncmount login work --provider 5sync',
    ],
  ])('%j is told as: %s', (given, line) => {
    expect(statusLine(status(given))).toBe(line);
  });

  it.each<[NodeJS.ProcessEnv, number | null]>([
    [{}, null],
    [{ WATCHDOG_USEC: '120000000' }, 120_000],
    [{ WATCHDOG_USEC: '120000000', WATCHDOG_PID: '7' }, 120_000],
    [{ WATCHDOG_USEC: '120000000', WATCHDOG_PID: '8' }, null],
    [{ WATCHDOG_USEC: '0' }, null],
    [{ WATCHDOG_USEC: 'soon' }, null],
  ])('a watchdog of %j is one of %j ms', (env, ms) => {
    expect(watchdogOf(env, 7)).toBe(ms);
  });

  it('each line once; nothing where nobody listens, and no child hears of the socket', () => {
    const sent: string[] = [];
    const manager = new ServiceManager((message) => sent.push(message), null);
    manager.waitsFor('the kernel');
    manager.waitsFor('the kernel');
    manager.stopping();
    expect(sent).toEqual(['STATUS=waiting for the kernel', 'STOPPING=1']);

    const reasons: string[] = [];
    const env: NodeJS.ProcessEnv = { NOTIFY_SOCKET: '/nowhere/notify', WATCHDOG_USEC: '1', HOME: '/' };
    serviceManagerOf(env, (reason) => reasons.push(reason))?.stopping();
    expect([env, reasons]).toEqual([{ HOME: '/' }, ['ENOENT']]);
    expect(serviceManagerOf({}, (reason) => reasons.push(reason))).toBe(null);
    expect(serviceManagerOf({ NOTIFY_SOCKET: 'vsock:2:1' }, (reason) => reasons.push(reason))).toBe(null);
    expect(serviceManagerOf({ NOTIFY_SOCKET: `/${'x'.repeat(200)}` }, (reason) => reasons.push(reason))).not.toBe(null);
  });
});
