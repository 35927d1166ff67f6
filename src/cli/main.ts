/** `syncmount`: parses the command line, calls the command, and answers its exit status. */
import { statSync } from 'node:fs';
import module from 'node:module';
import { basename, join } from 'node:path';
import { CommanderError } from 'commander';
import { codeOf, messageOf, UsageError } from '../base/errors.js';
import { context } from './context.js';
import { createProgram } from './program.js';
import { complain, endWithOutput } from './terminal/output.js';

/**
 * mount(8) and umount(8) call us as their helpers, where links of those names lead to us; mount.fuse(8) without a command:
 * `syncmount NAME:/PATH MOUNTPOINT -o OPTIONS`. Null: the helper has done all there is to do.
 */
async function withCommand(args: string[]): Promise<string[] | null> {
  const name = basename(process.argv[1] ?? '');
  if (/^mount\.(fuse\.)?syncmount$/.test(name)) return (await import('./commands/mount-helper.js')).helperCommand(args);
  // At once: a mount that was not waited for may keep its connection for long.
  if (name === 'umount.fuse.syncmount')
    process.exit(await (await import('./commands/umount-helper.js')).umountHelper(args));
  const [first] = args;
  return first !== undefined && /^[A-Za-z0-9][\w.-]*:/.test(first) ? ['mount', ...args] : args;
}

function commandersLine({ message }: CommanderError): string {
  return message.replace(/^error: /, '').replace(/\n(\(Did you mean [^\n]*\))$/, ' $1');
}

async function main(): Promise<number> {
  try {
    const args = await withCommand(process.argv.slice(2));
    if (args === null) return 0;
    const root = createProgram(args[0]);
    if (args.length === 0) {
      process.stdout.write(root.helpInformation());
      return 0;
    }
    await root.parseAsync(args, { from: 'user' });
    return typeof process.exitCode === 'number' ? process.exitCode : 0;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    const isUsage = error instanceof CommanderError || error instanceof UsageError;
    // Commander suggests on a second line; one line is what scripts and people get here.
    complain(error instanceof CommanderError ? commandersLine(error) : messageOf(error));
    if (isUsage) return 2;
    return codeOf(error) === 'left-pending' ? 3 : 1;
  }
}

/**
 * Caches compiled code for the next start (Node.js 22.8 and newer). Not in Node's own place under /tmp, which all users share, and
 * only in a cache directory that a mount of this user has made: root with another user's HOME leaves nothing there.
 */
function keepCompiledCode(): void {
  const { enableCompileCache } = module as { enableCompileCache?: (directory: string) => unknown };
  const { cache } = context.places;
  try {
    if (statSync(cache).uid === process.getuid?.()) enableCompileCache?.(join(cache, 'code'));
  } catch {
    // Not there yet, or in a folder that this user may not enter: every start compiles.
  }
}

// Databases, spool files and logs are private.
process.umask(0o077);
keepCompiledCode();
endWithOutput();
void main().then((code) => {
  process.exitCode = code;
});
