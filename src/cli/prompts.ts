/** Questions to a person at a terminal. */
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { SyncmountError, UsageError } from '../base/errors.js';
import { print } from './output.js';

/** Throws `UsageError` that says what is missing where there is nobody to ask. */
export function requireTerminal(missing: string): void {
  if (!process.stdin.isTTY) throw new UsageError(`${missing}; without a terminal nobody can be asked`);
}

export async function ask(question: string): Promise<string> {
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return (await lines.question(question)).trim();
  } finally {
    lines.close();
  }
}

/** The same without an echo: readline takes the terminal's own away, and what it would show instead goes nowhere. */
export async function askHidden(question: string): Promise<string> {
  const nowhere = new Writable({ write: (_data, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  // Not before the echo is off: somebody may type, or paste, at once.
  process.stdout.write(question);
  try {
    return (await lines.question('')).trim();
  } finally {
    lines.close();
    print('');
  }
}

/**
 * For what cannot be undone: both questions have to be answered with yes. The answers come from standard input, terminal
 * or not; its end is a no. Throws `kept` otherwise.
 */
export async function askTwice(first: string, second: string): Promise<void> {
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  const answers = lines[Symbol.asyncIterator]();
  try {
    for (const question of [first, second]) {
      process.stdout.write(`${question} [yes/no] `);
      const { value, done } = await answers.next();
      if (!process.stdin.isTTY) print('');
      if (done || !/^y(es)?$/i.test(`${value}`.trim())) throw new SyncmountError('kept', 'nothing was discarded');
    }
  } finally {
    lines.close();
  }
}
