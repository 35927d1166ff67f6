/** One long-lived program per mount, which makes the calls for the test process: see performer.mjs. */
import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';

/** A system call, or a few; paths are absolute. */
export type Step =
  | { readonly act: 'list' | 'tree' | 'stat' | 'mkdir' | 'rmdir' | 'unlink' | 'free'; readonly path: string }
  | { readonly act: 'read'; readonly path: string; readonly offset?: number; readonly length?: number }
  | { readonly act: 'write'; readonly path: string; readonly flags: 'wx' | 'w' | 'a'; readonly source: string }
  | { readonly act: 'truncate'; readonly path: string; readonly size: number }
  | { readonly act: 'rename'; readonly path: string; readonly to: string };

export interface Performance {
  /** The errno of the step that failed; null if none did. */
  readonly errno: string | null;
  readonly ms: number;
  /** The results of the steps that succeeded. */
  readonly seen: readonly unknown[];
}

/** A thread for each call that may wait: the default of four would let calls wait for each other. */
const THREADS = '64';

export class Performer {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (performance: Performance) => void>();
  #next = 1;

  constructor() {
    this.#child = spawn(process.execPath, [resolve('test/mount/faults/performer.mjs')], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, UV_THREADPOOL_SIZE: THREADS },
    });
    if (this.#child.stdout === null) throw new Error('the performer has no output');
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      const { id, ...performance } = JSON.parse(line) as Performance & { id: number };
      this.#waiting.get(id)?.(performance);
      this.#waiting.delete(id);
    });
  }

  run(...steps: readonly Step[]): Promise<Performance> {
    const id = this.#next++;
    return new Promise((done) => {
      this.#waiting.set(id, done);
      this.#child.stdin?.write(`${JSON.stringify({ id, steps })}\n`);
    });
  }

  /** Never with a system call under way that only this process can end: kill(2) waits for none. */
  end(): void {
    this.#child.kill('SIGKILL');
  }
}
