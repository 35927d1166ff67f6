/** Questions to a person at a terminal. */
import { createInterface } from 'node:readline/promises';
import { UsageError } from '../base/errors.js';
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
