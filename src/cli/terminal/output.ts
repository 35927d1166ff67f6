/**
 * All output of commands goes through this module. Invariant: names, labels and messages are untrusted, and reach the terminal
 * only as printable text.
 */
import { codeOf, messageOf } from '../../base/errors.js';
import { printable, printableJson } from '../../base/printable.js';

/** The exit status that a shell reports for SIGINT. */
export const INTERRUPTED = 130;

/** One line to standard output; several fields with tabs between them. */
export function print(...fields: readonly string[]): void {
  process.stdout.write(`${fields.map(printable).join('\t')}\n`);
}

/** Lines of our own with colours, for a terminal. They may hold no untrusted text. */
export function printPicture(lines: readonly string[]): void {
  process.stdout.write(lines.map((line) => `${line}\n`).join(''));
}

/** Prints JSON for programs. */
export function printJson(value: unknown, indent = 2): void {
  process.stdout.write(`${printableJson(JSON.stringify(value, null, indent))}\n`);
}

/** A character may be split between two chunks. */
const decoder = new TextDecoder();

/**
 * Writes a service's answer to standard output, for programs: the bytes unchanged. On a terminal, control characters of a text (`isText`)
 * are left out.
 */
export async function printAnswer(chunk: Uint8Array, isText: boolean): Promise<void> {
  const shown =
    process.stdout.isTTY && isText
      ? decoder.decode(chunk, { stream: true }).split('\n').map(printable).join('\n')
      : chunk;
  if (!process.stdout.write(shown)) await new Promise((resolve) => process.stdout.once('drain', resolve));
}

/** One line to standard error. */
export function complain(message: string): void {
  process.stderr.write(`syncmount: ${printable(message)}\n`);
}

/**
 * Ends a command when standard output cannot be written: silently if its reader has gone (`| head -1`), otherwise with one line and exit
 * code 1. A process that must go on without output, such as a mount, calls `outliveOutput`.
 */
export function endWithOutput(): void {
  process.stdout.on('error', (error) => {
    if (isOutlived) return;
    if (codeOf(error) === 'EPIPE') process.exit(0);
    complain(`cannot write to standard output: ${messageOf(error)}`);
    process.exit(1);
  });
  // Standard error cannot be written either.
  process.stderr.on('error', () => undefined);
}

let isOutlived = false;

/** From now on the process goes on even if its output cannot be written. */
export function outliveOutput(): void {
  isOutlived = true;
}
