/**
 * Hashes contents in a thread of its own, which starts with the first of them. It reads the files of the cache and the spool itself, so
 * no content passes between the threads.
 */
import type { ContentHasher, FileDigest, FileSpan, RunningMd5 } from '../base/content-hasher.js';
import { type Digest, RunningDigest } from '../base/running-digest.js';
import type { HashAnswer, HashRequest, HashResult } from './hash-messages.js';
import { LazyThread } from './lazy-thread.js';

interface Waiting {
  resolve(result: HashResult): void;
  reject(error: Error): void;
}

export class HashThread implements ContentHasher {
  /** Goes up with each thread that has ended. */
  generation = 0;
  readonly #thread: LazyThread<HashRequest, HashAnswer>;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #lastStream = 0;

  constructor() {
    this.#thread = new LazyThread('hash-worker.cjs', {
      reported: (answer) => this.#answered(answer),
      ended: (why) => this.#ended(why),
    });
  }

  md5(): RunningMd5 {
    return new ThreadMd5(this, ++this.#lastStream);
  }

  digest(blockBytes: number): FileDigest {
    return new ThreadDigest(this, ++this.#lastStream, blockBytes);
  }

  /** Sends a message that has no answer. */
  tell(request: HashRequest): void {
    this.#thread.tell(request);
  }

  /** Sends a message and resolves with its result. */
  ask(request: (id: number) => HashRequest): Promise<HashResult> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#thread.tell(request(id));
      this.#thread.hold(true);
    });
  }

  /** Ends the thread. Calls that wait for it reject. */
  close(): Promise<void> {
    return this.#thread.close();
  }

  #answered(answer: HashAnswer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (this.#waiting.size === 0) this.#thread.hold(false);
    if ('failure' in answer) waiting?.reject(new Error(answer.failure));
    else waiting?.resolve(answer.result);
  }

  /** The next thread knows none of the MD5s and digests of this one: see `ThreadStream`. */
  #ended(why: Error): void {
    this.generation++;
    for (const waiting of this.#waiting.values()) waiting.reject(why);
    this.#waiting.clear();
  }
}

/** An MD5 or a digest that lives in the thread, and ends with it. */
abstract class ThreadStream {
  protected readonly thread: HashThread;
  protected readonly stream: number;
  readonly #generation: number;
  /** The thread knows nothing of a stream before its first bytes. */
  #isKnown = false;

  constructor(thread: HashThread, stream: number) {
    this.thread = thread;
    this.stream = stream;
    this.#generation = thread.generation;
  }

  protected get isAlive(): boolean {
    return this.thread.generation === this.#generation;
  }

  /** Call this before adding bytes. Throws if the thread that has the earlier bytes has ended. */
  protected begin(): void {
    if (!this.isAlive) throw new Error('the hashing thread has ended');
    this.#isKnown = true;
  }

  drop(): void {
    if (this.#isKnown && this.isAlive) this.thread.tell({ kind: 'drop', stream: this.stream });
    this.#isKnown = false;
  }
}

class ThreadMd5 extends ThreadStream implements RunningMd5 {
  async addSpan(span: FileSpan): Promise<number | null> {
    this.begin();
    return (await this.thread.ask((id) => ({ kind: 'span', stream: this.stream, id, span }))) as number | null;
  }

  addBytes(data: Uint8Array): void {
    // If the thread has ended, `hex` says so.
    if (!this.isAlive) return;
    this.begin();
    this.thread.tell({ kind: 'bytes', stream: this.stream, data: Uint8Array.from(data) });
  }

  async hex(): Promise<string> {
    this.begin();
    return (await this.thread.ask((id) => ({ kind: 'hex', stream: this.stream, id }))) as string;
  }
}

class ThreadDigest extends ThreadStream implements FileDigest {
  readonly blockBytes: number;
  #bytes = 0;

  constructor(thread: HashThread, stream: number, blockBytes: number) {
    super(thread, stream);
    this.blockBytes = blockBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  async add(fd: number, length: number): Promise<boolean> {
    this.begin();
    const { stream, blockBytes } = this;
    const isWhole = await this.thread.ask((id) => ({ kind: 'file', stream, id, fd, length, blockBytes }));
    if (isWhole === true) this.#bytes += length;
    return isWhole === true;
  }

  async result(): Promise<Digest> {
    if (this.#bytes === 0) return new RunningDigest(this.blockBytes).result();
    this.begin();
    return (await this.thread.ask((id) => ({ kind: 'digest', stream: this.stream, id }))) as Digest;
  }
}
