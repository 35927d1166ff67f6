/**
 * `syncmount completion`: prints the script that teaches a shell to complete our command line. The scripts hold no list of commands or
 * options. They call `syncmount complete`, so that they are still right after an update.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../../base/errors.js';
import { packageRoot } from '../../base/installation.js';

/** In folder `completions`, under the names by which packages install them. */
const files = new Map([
  ['bash', 'syncmount.bash'],
  ['zsh', '_syncmount'],
  ['fish', 'syncmount.fish'],
]);

export const shells: readonly string[] = [...files.keys()];

/** Throws `UsageError` for another shell. */
export function completionCommand(shell: string): void {
  const file = files.get(shell);
  if (file === undefined) throw new UsageError(`'${shell}' is none of ${shells.join(', ')}`);
  process.stdout.write(readFileSync(join(packageRoot, 'completions', file), 'utf8'));
}
