/**
 * Local content that is newer than the provider's: a sparse file in the state directory.
 *
 * It may start from a remote file, its base: bytes below `baseEnd` that are not in `present` are still the base's, and
 * are fetched when somebody reads them and before the content is uploaded. Everything else is in the file, holes being
 * zeros.
 */
import { closeSync, constants, fdatasync, fstatSync, ftruncate, openSync, rmSync, write } from 'node:fs';
import { rm } from 'node:fs/promises';
import { basename } from 'node:path';
import { promisify } from 'node:util';
import { SyncmountError } from '../base/errors.js';
import { ExtentSet } from '../base/extents.js';
import { readAt, readRecentAt, writeAt } from '../base/files.js';
import { InUse } from '../base/in-use.js';
import { Mutex } from '../base/mutex.js';
import { orAborted } from '../providers/or-aborted.js';
import type { RemoteFile, UploadSource } from '../providers/provider.js';
import type { FreeSpace } from './free-space.js';
import { type Digest, RunningDigest } from './running-digest.js';

export type { Digest } from './running-digest.js';

const syncFile = promisify(fdatasync);
const truncateFile = promisify(ftruncate);
const nextTurn = promisify(setImmediate);
const appendPart = async (fd: number, data: Uint8Array): Promise<number> =>
  (await promisify(write)(fd, data)).bytesWritten;

/** Bytes read at a time for hashing and uploading: large enough for the disk, small enough not to hold up the loop. */
const CHUNK = 256 * 1024;
/** A file of so many bytes is removed by a thread. */
const LARGE = 64 * 1024 * 1024;

/** Fills `into` with the base's bytes from `offset`. `goesOnTo`: it will be asked for all up to there, in order. */
export type ReadBase = (into: Uint8Array, offset: number, sequentialUntil?: number) => Promise<void>;

export interface SpoolState {
  readonly size: number;
  readonly baseEnd: number;
  readonly present: readonly (readonly [number, number])[];
}

/** A content that is all its own, and needs nothing of a base. */
export function completeState(size: number): SpoolState {
  return { size, baseEnd: 0, present: size === 0 ? [] : [[0, size]] };
}

export interface SpoolFileOptions {
  readonly freeSpace?: FreeSpace;
  /** Hash what is written from its beginning to its end, in such blocks, while it is written. Default: when it is asked for. */
  readonly digestBlockBytes?: number | undefined;
}

export class SpoolFile {
  readonly path: string;
  /** Others write to the file too, without a word; its size is what they have made it. */
  isShared = false;
  #base: RemoteFile | null;
  #size: number;
  #baseEnd: number;
  readonly #present: ExtentSet;
  #fd: number | null = null;
  readonly #freeSpace: FreeSpace | undefined;
  readonly #digestBlockBytes: number | undefined;
  /** Of the beginning of the content, where all of that was written from there to its end and in no other way. */
  #writeDigest: RunningDigest | null = null;
  #isHashing = false;
  readonly #uses = new InUse();
  /** Changes happen one after the other: what a hole is filled with must not come over what was written meanwhile. */
  readonly #changes = new Mutex();

  constructor(path: string, base: RemoteFile | null, state?: SpoolState, options: SpoolFileOptions = {}) {
    this.path = path;
    this.#freeSpace = options.freeSpace;
    this.#digestBlockBytes = options.digestBlockBytes;
    this.#base = base;
    this.#size = state?.size ?? base?.size ?? 0;
    this.#baseEnd = state?.baseEnd ?? base?.size ?? 0;
    this.#present = ExtentSet.from(state?.present ?? []);
  }

  /** In the spool directory. */
  get name(): string {
    return basename(this.path);
  }

  /** Bytes. */
  get size(): number {
    return this.#size;
  }

  /** The remote file that the content started from, and that it is to replace; null: none. */
  get base(): RemoteFile | null {
    return this.#base;
  }

  /** From now on the content replaces `base`. Only for content that needs no bytes of the old base. */
  rebase(base: RemoteFile | null): void {
    if (!this.isComplete()) throw new Error('the content still needs bytes of its base');
    this.#baseEnd = 0;
    this.#base = base;
  }

  /** The base has been renamed or moved at the provider: the same bytes under a new description. */
  baseMoved(base: RemoteFile): void {
    if (this.#base !== null) this.#base = base;
  }

  state(): SpoolState {
    return { size: this.#size, baseEnd: this.#baseEnd, present: this.#present.ranges().map(([a, b]) => [a, b]) };
  }

  /** Of an earlier state, what has not been cut off since. */
  truncatedState({ size, baseEnd, present }: SpoolState): SpoolState {
    const end = Math.min(size, this.#size);
    const kept = ExtentSet.from(present);
    kept.truncate(end);
    return { size: end, baseEnd: Math.min(baseEnd, this.#baseEnd, end), present: kept.ranges() };
  }

  /** Makes the file on disk, so that a full or read-only disk shows now. */
  async create(): Promise<void> {
    const fd = this.#file(constants.O_CREAT | constants.O_EXCL);
    if (this.#size > 0) await truncateFile(fd, this.#size);
  }

  /**
   * Puts a file with all of the base in the place of the one that `create` made. `move` brings it to the path it is given; null:
   * it cannot, and nothing is changed.
   */
  async takeBase<T>(move: (path: string) => T | null): Promise<T | null> {
    await this.close();
    const moved = move(this.path);
    if (moved !== null) this.#present.add(0, this.#size);
    return moved;
  }

  /** Answers the bytes read; `readBase` is asked for what is still the base's. */
  read(into: Uint8Array, offset: number, readBase: ReadBase): Promise<number> {
    return this.#uses.during(() => this.#read(into, offset, readBase));
  }

  async #read(into: Uint8Array, offset: number, readBase: ReadBase): Promise<number> {
    const end = Math.min(offset + into.length, this.#size);
    if (end <= offset) return 0;
    const gaps = this.#gaps(offset, end);
    const wanted = into.subarray(0, end - offset);
    const isAllBase = gaps.length === 1 && gaps[0]?.[0] === offset && gaps[0][1] === end;
    if (!isAllBase) {
      const count = await readAt(this.#file(), wanted, offset);
      // Cut by somebody else while it was being read.
      if (end > this.#size) return this.#read(into, offset, readBase);
      this.#requireWhole(count, wanted);
    }
    for (const [from, to] of gaps) await readBase(wanted.subarray(from - offset, to - offset), from);
    return wanted.length;
  }

  write(data: Uint8Array, offset: number): Promise<void> {
    return this.#change((fd) => this.#write(fd, data, offset));
  }

  /** Writes at the end, wherever that is when its turn comes; answers where it was. */
  async append(data: Uint8Array): Promise<number> {
    let offset = 0;
    await this.#change(async (fd) => {
      if (this.isShared) await this.#appendShared(data);
      else await this.#write(fd, data, this.#size);
      offset = this.#size - data.length;
    });
    return offset;
  }

  /** Others write to the file itself, and made it what it is now: all of it is the content, of so many bytes. */
  writtenDirectly(size: number): void {
    this.#writeDigest = null;
    this.#baseEnd = 0;
    this.#present.truncate(size);
    this.#present.add(0, size);
    this.#size = size;
  }

  /** Where the end is, only the kernel knows. */
  async #appendShared(data: Uint8Array): Promise<void> {
    this.#freeSpace?.require(data.length);
    const fd = openSync(this.path, constants.O_WRONLY | constants.O_APPEND);
    try {
      // No position: at the end.
      for (let done = 0; done < data.length; ) done += await appendPart(fd, data.subarray(done));
      this.writtenDirectly(fstatSync(fd).size);
    } finally {
      closeSync(fd);
    }
  }

  truncate(size: number): Promise<void> {
    return this.#change(async (fd) => {
      this.#baseEnd = Math.min(this.#baseEnd, size);
      this.#present.truncate(size);
      if (size !== this.#size) this.#writeDigest = null;
      // Readers must not look for bytes that are about to go, nor for bytes that are not there yet.
      this.#size = Math.min(this.#size, size);
      await truncateFile(fd, size);
      this.#size = size;
    });
  }

  /** Brings in everything that is still the base's. */
  async fill(readBase: ReadBase, signal?: AbortSignal): Promise<void> {
    if (this.isComplete()) return;
    for (const [start, end] of this.#gaps(0, this.#size)) {
      for (let at = start; at < end; at += CHUNK) {
        signal?.throwIfAborted();
        const data = Buffer.allocUnsafe(Math.min(CHUNK, end - at));
        await orAborted(readBase(data, at, end), signal);
        await this.#change(async (fd) => {
          // Written by a program meanwhile: its bytes are newer.
          for (const [from, to] of this.#gaps(at, at + data.length)) {
            this.#freeSpace?.require(to - from);
            await writeAt(fd, data.subarray(from - at, to - at), from);
            this.#present.add(from, to);
          }
        });
      }
    }
  }

  /** Is nothing of the base missing? */
  isComplete(): boolean {
    return this.missing().length === 0;
  }

  /** Ranges [start, end) that are still the base's. */
  missing(): [number, number][] {
    return this.#gaps(0, this.#size);
  }

  /** The whole content, where it is no longer than `limit` bytes and nothing of the base is missing; else null. */
  content(limit: number): Promise<Buffer | null> {
    return this.#uses.during(() =>
      this.#changes.run(async () => {
        if (this.#size > limit || !this.isComplete()) return null;
        const data = Buffer.allocUnsafe(this.#size);
        if (data.length > 0) this.#requireWhole(await readRecentAt(this.#file(), data, 0), data);
        return data;
      }),
    );
  }

  /** On the disk. */
  sync(): Promise<void> {
    return this.#uses.during(async () => syncFile(this.#file()));
  }

  /**
   * The hashes of the whole content. What was hashed while it was written need not be read again, once. A terabyte takes half an
   * hour: it ends soon after `signal` aborts.
   */
  digest(blockBytes: number, signal?: AbortSignal): Promise<Digest> {
    return this.#uses.during(async () => {
      const running = this.#writeDigest;
      // It goes no further by itself, nor by a write that comes meanwhile.
      this.#writeDigest = null;
      const digest = running?.blockBytes === blockBytes ? running : new RunningDigest(blockBytes);
      const fd = this.#file();
      if (fstatSync(fd).size < this.#size) this.#tooShort();
      const buffer = Buffer.allocUnsafe(Math.min(CHUNK, this.#size - digest.bytes));
      while (digest.bytes < this.#size) {
        signal?.throwIfAborted();
        const data = buffer.subarray(0, Math.min(buffer.length, this.#size - digest.bytes));
        this.#requireWhole(await readRecentAt(fd, data, digest.bytes), data);
        digest.update(data);
      }
      return digest.result();
    });
  }

  /** The content as an upload reads it. It must be complete, and stay as it is until the upload ends. */
  source(digest: () => Promise<Digest>): UploadSource {
    return {
      size: this.#size,
      read: (offset, length) => this.#chunks(offset, length),
      md5: async () => (await digest()).md5,
    };
  }

  /** Closes the descriptor once nothing is in flight; the next use opens it again. */
  async close(): Promise<void> {
    while (this.#uses.isBusy) await this.#uses.idle();
    const fd = this.#fd;
    this.#fd = null;
    if (fd !== null) closeSync(fd);
  }

  /** Closes and deletes it. */
  async remove(): Promise<void> {
    await this.close();
    // To free the blocks of a large file takes a disk seconds, which is no work for the event loop.
    if (this.#size > LARGE) await rm(this.path, { force: true });
    else rmSync(this.path, { force: true });
  }

  async *#chunks(offset: number, length: number): AsyncGenerator<Uint8Array> {
    for (let at = offset; at < offset + length; at += CHUNK) {
      const data = Buffer.allocUnsafe(Math.min(CHUNK, offset + length - at));
      // One use a chunk: an upload that was given up may never come for the next.
      this.#requireWhole(await this.#uses.during(async () => readRecentAt(this.#file(), data, at)), data);
      yield data;
    }
  }

  async #write(fd: number, data: Uint8Array, offset: number): Promise<void> {
    this.#freeSpace?.require(data.length);
    const continuesDigest = this.#continuesDigest(offset);
    await writeAt(fd, data, offset);
    this.#present.add(offset, offset + data.length);
    this.#size = Math.max(this.#size, offset + data.length);
    if (continuesDigest) this.#hashWrites();
  }

  /** Does a write at `offset` go on where the content ends? From the first that does not, nothing is followed. */
  #continuesDigest(offset: number): boolean {
    if (this.#digestBlockBytes === undefined || this.isShared || offset !== this.#size) this.#writeDigest = null;
    else if (offset === 0) this.#writeDigest = new RunningDigest(this.#digestBlockBytes);
    return this.#writeDigest !== null;
  }

  /** Hashes behind the writes, in the moments in which nothing else is to be done. */
  #hashWrites(): void {
    const running = this.#writeDigest;
    if (running === null || this.#isHashing || this.#size - running.bytes < CHUNK) return;
    this.#isHashing = true;
    // Who asks for the digest reads it again, and hears of what went wrong.
    const end = this.#hashWritten(running).catch(() => undefined);
    void end.then(() => {
      this.#isHashing = false;
    });
  }

  /** As far as there are whole pieces, and until the file is closed or is not what it was. */
  async #hashWritten(running: RunningDigest): Promise<void> {
    const data = Buffer.allocUnsafe(CHUNK);
    for (;;) {
      await nextTurn();
      const fd = this.#fd;
      if (fd === null || this.#writeDigest !== running || this.#size - running.bytes < CHUNK) return;
      const count = await this.#uses.during(() => readAt(fd, data, running.bytes));
      if (count < CHUNK || this.#writeDigest !== running) return;
      running.update(data);
    }
  }

  #change(act: (fd: number) => Promise<void>): Promise<void> {
    return this.#uses.during(() => this.#changes.run(async () => act(this.#file())));
  }

  /** The file is as long as the content, holes included. One that is not has been damaged, and its zeros are nobody's. */
  #requireWhole(count: number, wanted: Uint8Array): void {
    if (count < wanted.length) this.#tooShort();
  }

  #tooShort(): never {
    throw new SyncmountError('spool', `${this.path} is shorter than its content`);
  }

  #gaps(start: number, end: number): [number, number][] {
    return this.#present.gaps(start, Math.min(end, this.#baseEnd));
  }

  /** Opened here and not by a thread: see base/files.ts. */
  #file(create = 0): number {
    this.#fd ??= openSync(this.path, constants.O_RDWR | create, 0o600);
    return this.#fd;
  }
}
