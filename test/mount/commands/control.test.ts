/** The socket between the commands and a mount: neither end can bring down the other. */
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { askControl, serveControl } from '../../../src/mount/control/control.js';

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

  it('lies in the state directory, however long its path is', async () => {
    const deep = join(directory, 'd'.repeat(200), 'e'.repeat(100));
    await mkdir(deep, { recursive: true });
    const long = join(deep, 'sock');
    const server = await serveControl(long, async (command) => `${command} there`);
    expect((await stat(long)).mode & 0o777).toBe(0o600);
    expect(await askControl(long, 'status')).toBe('status there');
    expect(await askControl(long, 'status')).toBe('status there');
    await new Promise((closed) => server.close(closed));
    await expect(stat(long)).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(askControl(long, 'status')).rejects.toMatchObject({ code: 'no-answer' });
    await expect(askControl(join(directory, 'gone'.repeat(50), 'sock'), 'status')).rejects.toMatchObject({
      code: 'no-answer',
    });
  });

  it('of somebody who says what no mount says, or nothing, is an error that is told', async () => {
    const says = async (text: string): Promise<void> => {
      const server = createServer(
        (socket) =>
          void socket
            .on('error', () => undefined)
            .resume()
            .write(text),
      );
      await new Promise<void>((listening) => server.listen(path, listening));
      await expect(askControl(path, 'status', {}, undefined, 200)).rejects.toMatchObject({
        code: text === '' ? 'silent' : 'no-answer',
      });
      await new Promise((closed) => server.close(closed));
    };
    for (const text of ['HTTP/1.1 400 Bad Request\n', '[1\n', 'null\n', '']) await says(text);
  });
});
