/** The socket between the commands and a mount: neither end may be brought down by the other. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { askControl, serveControl } from '../../src/mount/control.js';

describe('the control socket', () => {
  let directory: string;
  let path: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'syncmount-test-'));
    path = join(directory, 'sock');
  });
  afterEach(() => rm(directory, { recursive: true }));

  it('of a mount that died is an error that is told', async () => {
    const server = await serveControl(path, async () => null);
    server.close();
    await expect(askControl(path, 'status')).rejects.toMatchObject({ code: 'no-answer' });
  });

  it('survives a command that leaves before its answer', async () => {
    let asked = (): void => undefined;
    const reached = new Promise<void>((resolve) => {
      asked = resolve;
    });
    let leave = (): void => undefined;
    const left = new Promise<void>((resolve) => {
      leave = resolve;
    });
    let isFirst = true;
    const server = await serveControl(path, async () => {
      if (!isFirst) return 'here';
      isFirst = false;
      asked();
      await left;
      return 'x'.repeat(1_000_000);
    });
    const socket = createConnection(path);
    socket.write('{"command":"status"}\n{"command":"status"}\n');
    await reached;
    socket.destroy();
    await once(socket, 'close');
    leave();
    expect(await askControl(path, 'status')).toBe('here');
    server.close();
  });
});
