/** The driver's side of `file-worker.mjs`. */
import { type ChildProcess, spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';

export class CallFailed extends Error {
  /** The errno's name. */
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export type Seen =
  | { readonly path: string; readonly kind: 'directory' }
  | { readonly path: string; readonly kind: 'link'; readonly target: string }
  | { readonly path: string; readonly kind: 'fifo' }
  | {
      readonly path: string;
      readonly kind: 'file';
      readonly size: number;
      readonly md5: string;
      readonly ino: number;
      readonly links: number;
    };

interface Waiting {
  done(result: unknown): void;
  failed(error: CallFailed): void;
}

/** Paths are absolute. Every method rejects with `CallFailed`. */
export class FileWorker {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  #next = 1;

  constructor() {
    this.#child = spawn(process.execPath, [resolve('test/soak/file-worker.mjs')], {
      cwd: tmpdir(),
      stdio: ['pipe', 'pipe', 'inherit'],
      // Calls that wait for the mount must not keep others waiting.
      env: { ...process.env, UV_THREADPOOL_SIZE: '32' },
    });
    const { stdin, stdout } = this.#child;
    if (stdin === null || stdout === null) throw new Error('a worker without pipes');
    stdin.on('error', () => undefined);
    createInterface({ input: stdout }).on('line', (line) => this.#answered(line));
    this.#child.on('close', () => this.#end());
  }

  open(path: string, flags: string): Promise<number> {
    return this.#call('open', { path, flags });
  }

  /** At the end, or wherever the descriptor stands, where `at` is null. */
  write(fd: number, data: Buffer, at: number | null): Promise<void> {
    return this.#call('write', { fd, data: data.toString('base64'), at });
  }

  fsync(fd: number): Promise<void> {
    return this.#call('fsync', { fd });
  }

  close(fd: number): Promise<void> {
    return this.#call('close', { fd });
  }

  truncate(path: string, size: number): Promise<void> {
    return this.#call('truncate', { path, size });
  }

  rename(path: string, to: string): Promise<void> {
    return this.#call('rename', { path, to });
  }

  unlink(path: string): Promise<void> {
    return this.#call('unlink', { path });
  }

  mkdir(path: string): Promise<void> {
    return this.#call('mkdir', { path });
  }

  symlink(target: string, path: string): Promise<void> {
    return this.#call('symlink', { target, path });
  }

  link(path: string, to: string): Promise<void> {
    return this.#call('link', { path, to });
  }

  mkfifo(path: string): Promise<void> {
    return this.#call('mkfifo', { path });
  }

  rmdir(path: string): Promise<void> {
    return this.#call('rmdir', { path });
  }

  async read(path: string): Promise<Buffer> {
    return Buffer.from(await this.#call<string>('read', { path }), 'base64');
  }

  tree(path: string): Promise<Seen[]> {
    return this.#call('tree', { path });
  }

  end(): void {
    this.#child.kill('SIGKILL');
  }

  #call<T>(call: string, args: object): Promise<T> {
    const id = this.#next++;
    return new Promise((done, failed) => {
      this.#waiting.set(id, { done: done as (result: unknown) => void, failed });
      this.#child.stdin?.write(`${JSON.stringify({ id, call, ...args })}\n`);
    });
  }

  #answered(line: string): void {
    const { id, result, error, message } = JSON.parse(line);
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.done(result);
    else waiting?.failed(new CallFailed(error, message));
  }

  #end(): void {
    for (const { failed } of this.#waiting.values()) failed(new CallFailed('EPIPE', 'the worker has ended'));
    this.#waiting.clear();
  }
}
