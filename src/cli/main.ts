/** `syncmount`: parses the command line, calls the command, and returns its exit status. */
import { statSync } from 'node:fs';
import module from 'node:module';
import { basename, join } from 'node:path';
import { CommanderError } from 'commander';
import { codeOf, messageOf, UsageError } from '../base/errors.js';
import { context } from './context.js';
import { createProgram } from './program.js';
import { complain, endWithOutput } from './terminal/output.js';

/**
 * mount(8) and umount(8) call this program as their helper, through links with the helpers' names. mount.fuse(8) calls it without a
 * command: `syncmount NAME:/PATH MOUNTPOINT -o OPTIONS`. Null: the helper has done everything.
 */
async function withCommand(args: string[]): Promise<string[] | null> {
  const name = basename(process.argv[1] ?? '');
  if (/^mount\.(fuse\.)?syncmount$/.test(name)) return (await import('./commands/mount-helper.js')).helperCommand(args);
  // Exits at once: the connection to a mount that does not answer may stay open for long.
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
    // Commander puts suggestions on a second line. Our errors have one line.
    complain(error instanceof CommanderError ? commandersLine(error) : messageOf(error));
    if (isUsage) return 2;
    return codeOf(error) === 'left-pending' ? 3 : 1;
  }
}

/**
 * Caches compiled code for the next start (Node.js 22.8 and newer). It does not use Node's own directory under /tmp, because all users
 * share that. It uses only a cache directory that a mount of this user has made, so that root with another user's HOME leaves nothing
 * there.
 */
function keepCompiledCode(): void {
  const { enableCompileCache } = module as { enableCompileCache?: (directory: string) => unknown };
  const { cache } = context.places;
  try {
    if (statSync(cache).uid === process.getuid?.()) enableCompileCache?.(join(cache, 'code'));
  } catch {
    // The directory does not exist yet, or this user may not enter it. Every start compiles then.
  }
}

// Databases, spool files and logs are private.
process.umask(0o077);
keepCompiledCode();
endWithOutput();
void main().then((code) => {
  process.exitCode = code;
});
