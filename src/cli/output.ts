/**
 * Everything that commands print goes through here: names, labels and messages are anybody's text, and reach the terminal as
 * text alone.
 */
import { codeOf, messageOf } from '../base/errors.js';
import { printable, printableJson } from '../base/printable.js';

/** One line to standard output; several fields with tabs between them. */
export function print(...fields: readonly string[]): void {
  process.stdout.write(`${fields.map(printable).join('\t')}\n`);
}

/** For programs. */
export function printJson(value: unknown, indent = 2): void {
  process.stdout.write(`${printableJson(JSON.stringify(value, null, indent))}\n`);
}

/** One line to standard error. */
export function complain(message: string): void {
  process.stderr.write(`syncmount: ${printable(message)}\n`);
}

/** Clears a terminal for what is printed next. */
export function clearScreen(): void {
  if (process.stdout.isTTY) process.stdout.write('\x1b[H\x1b[2J');
}

/**
 * Standard output that cannot be written ends a command: silently where its reader has gone (`| head -1`), with one line and
 * exit code 1 otherwise. What goes on without it, as a mount does, calls `outliveOutput`.
 */
export function endWithOutput(): void {
  process.stdout.on('error', (error) => {
    if (isOutlived) return;
    if (codeOf(error) === 'EPIPE') process.exit(0);
    complain(`cannot write to standard output: ${messageOf(error)}`);
    process.exit(1);
  });
  // Nobody is left to be told.
  process.stderr.on('error', () => undefined);
}

let isOutlived = false;

/** From now on it does not matter whether anybody reads what is printed. */
export function outliveOutput(): void {
  isOutlived = true;
}
