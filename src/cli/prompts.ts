/** Questions to a person at a terminal. */
import { createInterface } from 'node:readline/promises';
import { SyncmountError, UsageError } from '../base/errors.js';
import { print } from './context.js';

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

/** The same without an echo. */
export async function askHidden(question: string): Promise<string> {
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  const output = lines as unknown as { _writeToOutput?: (text: string) => void };
  const write = output._writeToOutput?.bind(lines);
  output._writeToOutput = (text) => {
    if (text.includes(question)) write?.(question);
  };
  try {
    return await lines.question(question);
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
