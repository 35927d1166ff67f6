/** Reads a log together with its rotated files, and follows it over further rotations. */
import { type FileHandle, open, stat } from 'node:fs/promises';
import { StringDecoder } from 'node:string_decoder';
import type { Clock } from '../../base/clock.js';
import { codeOf } from '../../base/errors.js';
import { rotatedFiles } from './log-file.js';

/** How soon a followed log shows a new line, ms. A user sees it as at once. */
const LOOK_MS = 200;
const READ_BYTES = 64 * 1024;

/** One file while it is read. */
class Source {
  readonly ino: number;
  readonly #file: FileHandle;
  readonly #buffer = Buffer.alloc(READ_BYTES);
  readonly #decoder = new StringDecoder('utf8');
  #rest = '';

  private constructor(file: FileHandle, ino: number) {
    this.#file = file;
    this.ino = ino;
  }

  static async open(path: string): Promise<Source> {
    const file = await open(path, 'r');
    return new Source(file, (await file.stat()).ino);
  }

  /** The whole lines up to the present end. */
  async *lines(): AsyncGenerator<string> {
    for (;;) {
      const { bytesRead } = await this.#file.read(this.#buffer, 0, READ_BYTES, null);
      if (bytesRead === 0) return;
      const lines = (this.#rest + this.#decoder.write(this.#buffer.subarray(0, bytesRead))).split('\n');
      this.#rest = lines.pop() ?? '';
      yield* lines;
    }
  }

  /** The text after the last line break. */
  get rest(): string[] {
    return this.#rest === '' ? [] : [this.#rest];
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

/**
 * The lines of a log, the oldest first. With `follow` it never ends, and yields null whenever it has reached the present end. Throws
 * `ENOENT` without a log.
 */
export async function* readLog(path: string, clock: Clock, follow: boolean): AsyncGenerator<string | null> {
  const [oldest = path] = await filesOf(path);
  let source = await Source.open(oldest);
  try {
    for (;;) {
      yield* source.lines();
      const next = await successor(path, source.ino);
      if (next !== null) {
        // Lines that were written before the file was renamed.
        yield* source.lines();
        yield* source.rest;
        await source.close();
        source = await Source.open(next);
      } else if (follow) {
        yield null;
        await clock.sleep(LOOK_MS);
      } else {
        yield* source.rest;
        return;
      }
    }
  } finally {
    await source.close();
  }
}

/** The oldest first. */
async function filesOf(path: string): Promise<string[]> {
  return [...rotatedFiles(path).map((file) => file.path), ...((await inoOf(path)) === null ? [] : [path])].sort(
    (a, b) => ageOf(path, b) - ageOf(path, a),
  );
}

/** 0: the file that is being written. */
function ageOf(path: string, file: string): number {
  return file === path ? 0 : Number(file.slice(path.length + 1));
}

/** The file that follows the one with this inode. Null if that is the last one, or if the log was moved away and not begun anew. */
async function successor(path: string, ino: number): Promise<string | null> {
  const files = await filesOf(path);
  const inos = await Promise.all(files.map(inoOf));
  const at = inos.indexOf(ino);
  // Removed meanwhile: the oldest that is left follows.
  return files[at + 1] ?? null;
}

async function inoOf(path: string): Promise<number | null> {
  try {
    return (await stat(path)).ino;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}
