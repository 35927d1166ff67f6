/** Stores an account in a directory: one line per change, written before the answer. The next start compacts the lines. */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

interface Identified {
  id: string;
}

/** Receives every change of the items. */
export interface Keeper<I> {
  put(item: I): void;
  remove(id: string): void;
}

type Line<I> = { put: I } | { remove: string } | { token: [token: string, value: string | null] };

export interface Saved<I, C> {
  items: Map<string, I>;
  /** Tokens or keys, each with its data: its secret, or its kind and lifetime. */
  tokens: Map<string, string>;
  credentials?: C;
}

export class Journal<I extends Identified, C> implements Keeper<I> {
  readonly saved: Saved<I, C>;
  #file: number;
  #dir: string;

  constructor(dir: string) {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    this.#dir = dir;
    const path = join(dir, 'account.jsonl');
    this.saved = load<I, C>(path, join(dir, 'credentials.json'));
    const lines: Line<I>[] = [...this.saved.items.values()].map((put) => ({ put }));
    for (const token of this.saved.tokens) lines.push({ token });
    writeFileSync(`${path}.new`, lines.map((line) => `${JSON.stringify(line)}\n`).join(''), { mode: 0o600 });
    renameSync(`${path}.new`, path);
    this.#file = openSync(path, 'a');
  }

  put(item: I): void {
    this.#append({ put: item });
  }

  remove(id: string): void {
    this.#append({ remove: id });
  }

  token(token: string, value: string | null): void {
    this.#append({ token: [token, value] });
  }

  keepCredentials(credentials: C): void {
    writeFileSync(join(this.#dir, 'credentials.json'), JSON.stringify(credentials), { mode: 0o600 });
  }

  close(): void {
    closeSync(this.#file);
  }

  /** Synchronous: every answered change survives a kill of the process. */
  #append(line: Line<I>): void {
    writeSync(this.#file, `${JSON.stringify(line)}\n`);
  }
}

function load<I extends Identified, C>(path: string, credentialsPath: string): Saved<I, C> {
  const saved: Saved<I, C> = { items: new Map(), tokens: new Map() };
  if (existsSync(credentialsPath)) saved.credentials = JSON.parse(readFileSync(credentialsPath, 'utf8'));
  if (!existsSync(path)) return saved;
  for (const text of readFileSync(path, 'utf8').split('\n')) {
    const line = parse<I>(text);
    if (!line) continue;
    if ('put' in line) saved.items.set(line.put.id, line.put);
    else if ('remove' in line) saved.items.delete(line.remove);
    else if (line.token[1] === null) saved.tokens.delete(line.token[0]);
    else saved.tokens.set(line.token[0], line.token[1]);
  }
  return saved;
}

/** Parses one line. Undefined for a last line that a kill has cut off. */
function parse<I>(text: string): Line<I> | undefined {
  try {
    return JSON.parse(text) as Line<I>;
  } catch {
    return undefined;
  }
}
