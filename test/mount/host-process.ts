/**
 * Runs `syncmount mount --foreground` repeatedly in one process, for `mount-host.ts`. It is built with the bundle that `bin/` runs, and
 * runs the command itself. Only the end differs: the process stays if it got the order to stay before.
 */

import { mountCommand } from '../../src/cli/commands/mount.js';
import { createContext } from '../../src/cli/context.js';
import { createProgram } from '../../src/cli/program.js';

export type Order = { readonly mount: readonly string[]; readonly env: NodeJS.ProcessEnv } | { readonly stay: boolean };
/** `noted`: an order to stay or not was taken. `over`: the mount has ended, and the process goes on. */
export interface Notice {
  readonly noted?: true;
  readonly over?: true;
}

const tell = (notice: Notice): void => void process.send?.(notice);
const exit = process.exit;
let stays = false;

async function mount(args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const before = new Map(process.eventNames().map((name) => [name, process.listeners(name as 'exit')]));
  const over = new Promise<void>((resolve) => {
    process.exit = ((code) => {
      if (!stays) exit(code);
      resolve();
    }) as typeof process.exit;
  });
  const [command, ...others] = createProgram('mount').commands;
  if (command === undefined || others.length > 0) throw new Error('there is no command to mount');
  command.action((source, mountpoint, flags) => mountCommand(createContext(env), source, mountpoint, flags));
  await command.parseAsync(args, { from: 'user' });
  await over;
  stays = false;
  for (const name of process.eventNames())
    for (const listener of process.listeners(name as 'exit'))
      if (!before.get(name)?.includes(listener)) process.removeListener(name, listener);
  tell({ over: true });
}

process.umask(0o077);
// The command disconnects after its answer, but the next command needs the channel. Node.js also calls this once the tests are gone.
process.disconnect = () => void setImmediate(() => process.channel || exit(0));
process.on('message', (order: Order) => {
  if ('mount' in order) return void mount(order.mount, order.env);
  stays = order.stay;
  tell({ noted: true });
});
