/** What `syncmount trash` says where its work ends early: a mount's answers are made up. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { SyncmountError } from '../../src/base/errors.js';
import { trashCommand } from '../../src/cli/commands/trash.js';
import type { Context } from '../../src/cli/context.js';
import { type ControlHandler, serveControl } from '../../src/mount/control/control.js';

async function contextOf(handle: ControlHandler): Promise<Context> {
  const directory = mkdtempSync(join(tmpdir(), 'syncmount-test-'));
  const socket = join(directory, 'socket');
  const server = await serveControl(socket, handle);
  onTestFinished(() => {
    server.close();
    rmSync(directory, { recursive: true, force: true });
  });
  const entry = { mountpoint: '/m', account: 'work', provider: '4shared', pid: process.pid, socket, log: null };
  return { registry: { all: () => [entry], find: () => undefined } } as unknown as Context;
}

it.each(['restore', 'empty'])('%s tells how far it came when the service does not answer any more', async (action) => {
  const context = await contextOf(async (command, { names }, progress) => {
    if (command === 'trash-list')
      return ['a', 'b', 'c'].map((name) => ({ name, path: `/${name}`, kind: 'file', size: 1, deleted: 1, id: name }));
    expect([command, names]).toEqual([`trash-${action}`, ['a', 'b', 'c']]);
    progress(1);
    progress(2);
    throw new SyncmountError('network', '4shared does not answer: no connection');
  });
  const options = { yes: true, olderThan: '1s' };
  await expect(trashCommand(context, [action], options)).rejects.toMatchObject({
    code: 'network',
    message: `4shared does not answer: no connection; 2 of the 3 objects that were to be ${action === 'empty' ? 'removed' : 'restored'} are done; 'syncmount trash list' shows what is left in the trash`,
  });
});
