/** Questions to a user at a terminal. */
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { SyncmountError, UsageError } from '../../base/errors.js';
import { print } from './output.js';

/** Without a terminal it throws a `UsageError` that says what is missing. */
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

/** `ask` without an echo: readline turns the terminal's echo off, and its own output is discarded. */
export async function askHidden(question: string): Promise<string> {
  const nowhere = new Writable({ write: (_data, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  // The question is printed after the echo is off, because a user may type or paste at once.
  process.stdout.write(question);
  try {
    return (await lines.question('')).trim();
  } finally {
    lines.close();
    print('');
  }
}

/**
 * Asks before an act that cannot be undone: both questions must be answered with yes. The answers come from standard input, terminal or
 * not; its end counts as no. Throws `kept` with `otherwise`.
 */
export async function askTwice(first: string, second: string, otherwise: string): Promise<void> {
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  const answers = lines[Symbol.asyncIterator]();
  try {
    for (const question of [first, second]) {
      process.stdout.write(`${question} [yes/no] `);
      const { value, done } = await answers.next();
      if (!process.stdin.isTTY) print('');
      if (done || !/^y(es)?$/i.test(`${value}`.trim())) throw new SyncmountError('kept', otherwise);
    }
  } finally {
    lines.close();
  }
}
