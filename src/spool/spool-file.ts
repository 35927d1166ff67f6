/**
 * A spool file: local content that is newer than the provider's, in a sparse file in the state directory.
 *
 * It may start from a remote file, its base. Invariant: bytes below `baseEnd` that are not in `present` are the base's. They are
 * fetched when a program reads them, or at the latest before the upload. All other bytes are in the file; holes are zeros.
 */
import { closeSync, constants, fdatasync, fstatSync, ftruncate, openSync, rmSync, write } from 'node:fs';
import { rm } from 'node:fs/promises';
import { basename } from 'node:path';
import { promisify } from 'node:util';
import { type ContentHasher, inlineHasher } from '../base/content-hasher.js';
import { SyncmountError } from '../base/errors.js';
import { ExtentSet } from '../base/extents.js';
import { readAt, readRecentAt, writeAt } from '../base/files.js';
import { InUse } from '../base/in-use.js';
import { Mutex } from '../base/mutex.js';
import { repeatableSync } from '../base/repeatable-sync.js';
import type { Digest } from '../base/running-digest.js';
import type { SparseCalls } from '../base/sparse-calls.js';
import type { UploadSource } from '../providers/content.js';
import { orAborted } from '../providers/or-aborted.js';
import type { RemoteFile } from '../providers/provider.js';
import type { FreeSpace } from './free-space.js';
import { localSeek, nextData, nextHole, writeAgain, zeroRange } from './sparse.js';
import type { SpoolState } from './spool-state.js';
import { HASH_CHUNK, WriteDigest, type WrittenFile } from './write-digest.js';

const syncFile = promisify(fdatasync);
const truncateFile = promisify(ftruncate);
const appendPart = async (fd: number, data: Uint8Array): Promise<number> =>
  (await promisify(write)(fd, data)).bytesWritten;

/** The bytes of one read for an upload: large enough for the disk, small enough not to block the event loop. */
const CHUNK = 256 * 1024;
/** A thread removes files of more bytes than this. */
const LARGE = 64 * 1024 * 1024;

/** Fills `into` with the base's bytes from `offset`. `sequentialUntil`: the caller will read in order up to this offset. */
export type ReadBase = (into: Uint8Array, offset: number, sequentialUntil?: number) => Promise<void>;

export interface SpoolFileOptions {
  readonly freeSpace?: FreeSpace;
  /** Hash a content in blocks of this size while it is written sequentially. Default: only when `digest` is called. */
  readonly digestBlockBytes?: number | undefined;
  /** Hashes contents of more than a few blocks. Default: on the event loop. */
  readonly hasher?: ContentHasher | undefined;
  /** System calls for holes. Without them zeros are written, and the whole file counts as data. */
  readonly sparse?: SparseCalls | undefined;
  readonly syncFile?: typeof syncFile | undefined;
}

export class SpoolFile {
  readonly path: string;
  /** The kernel writes to the file, too (passthrough): the size of the content is that of the file. */
  isShared = false;
  /** The number of failed syncs. */
  losses = 0;
  #base: RemoteFile | null;
  #size: number;
  #baseEnd: number;
  readonly #present: ExtentSet;
  #fd: number | null = null;
  readonly #freeSpace: FreeSpace | undefined;
  readonly #hasher: ContentHasher;
  readonly #sparse: SparseCalls | undefined;
  readonly #syncFile: typeof syncFile;
  readonly #writeDigest: WriteDigest | null;
  readonly #uses = new InUse();
  /** Serializes changes, so that bytes of the base never overwrite bytes that a program writes meanwhile. */
  readonly #changes = new Mutex();

  constructor(path: string, base: RemoteFile | null, state?: SpoolState, options: SpoolFileOptions = {}) {
    this.path = path;
    this.#freeSpace = options.freeSpace;
    this.#hasher = options.hasher ?? inlineHasher;
    const { digestBlockBytes } = options;
    this.#writeDigest =
      digestBlockBytes === undefined ? null : new WriteDigest(this.#hasher, digestBlockBytes, this.#writtenFile());
    this.#sparse = options.sparse;
    this.#syncFile = options.syncFile ?? syncFile;
    this.#base = base;
    this.#size = state?.size ?? base?.size ?? 0;
    this.#baseEnd = state?.baseEnd ?? base?.size ?? 0;
    this.#present = ExtentSet.from(state?.present ?? []);
  }

  /** The file's name in the spool directory. */
  get name(): string {
    return basename(this.path);
  }

  /** Bytes. */
  get size(): number {
    return this.#size;
  }

  /** The remote file that the content started from, and will replace; null: none. */
  get base(): RemoteFile | null {
    return this.#base;
  }

  /** Makes the content replace another base. Only for a content that needs no bytes of the old base. */
  rebase(base: RemoteFile | null): void {
    if (!this.isComplete()) throw new Error('the content still needs bytes of its base');
    this.#baseEnd = 0;
    this.#base = base;
  }

  /** Notes that the base was renamed or moved at the provider: the same bytes have a new description. */
  baseMoved(base: RemoteFile): void {
    if (this.#base !== null) this.#base = base;
  }

  state(): SpoolState {
    return { size: this.#size, baseEnd: this.#baseEnd, present: this.#present.ranges().map(([a, b]) => [a, b]) };
  }

  /** An earlier state without the ranges that were truncated since. */
  truncatedState({ size, baseEnd, present }: SpoolState): SpoolState {
    const end = Math.min(size, this.#size);
    const kept = ExtentSet.from(present);
    kept.truncate(end);
    return { size: end, baseEnd: Math.min(baseEnd, this.#baseEnd, end), present: kept.ranges() };
  }

  /** Makes the file on disk at once, so that a full or read-only disk fails here. Null: the file already has its size. */
  create(): Promise<void> | null {
    const fd = this.#file(constants.O_CREAT | constants.O_EXCL);
    return this.#size > 0 ? truncateFile(fd, this.#size) : null;
  }

  /**
   * Replaces the file that `create` made by a file with the whole base. `move` moves the latter to the given path. If it answers null,
   * nothing has changed.
   */
  async takeBase<T>(move: (path: string) => T | null): Promise<T | null> {
    await this.close();
    const moved = move(this.path);
    if (moved !== null) this.#present.add(0, this.#size);
    return moved;
  }

  /** Answers the number of bytes read. `readBase` fetches bytes that are still the base's. */
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
      // The file was truncated during the read.
      if (end > this.#size) return this.#read(into, offset, readBase);
      this.#requireWhole(count, wanted);
    }
    for (const [from, to] of gaps) await readBase(wanted.subarray(from - offset, to - offset), from);
    return wanted.length;
  }

  write(data: Uint8Array, offset: number): Promise<void> {
    return this.#change((fd) => this.#write(fd, data, offset));
  }

  /** Writes at the end of the content, after all earlier changes. Answers the offset. */
  async append(data: Uint8Array): Promise<number> {
    let offset = 0;
    await this.#change(async (fd) => {
      if (this.isShared) await this.#appendShared(data);
      else await this.#write(fd, data, this.#size);
      offset = this.#size - data.length;
    });
    return offset;
  }

  /** Notes that the kernel wrote to the file itself (passthrough): now the whole file, of `size` bytes, is the content. */
  writtenDirectly(size: number): void {
    this.#writeDigest?.end();
    this.#baseEnd = 0;
    this.#present.truncate(size);
    this.#present.add(0, size);
    this.#size = size;
  }

  /** Appends with O_APPEND, because only the kernel knows the end of a file that it writes to itself. */
  async #appendShared(data: Uint8Array): Promise<void> {
    this.#freeSpace?.require(data.length);
    const fd = openSync(this.path, constants.O_WRONLY | constants.O_APPEND);
    try {
      // Without a position the write goes to the end.
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
      if (size !== this.#size) this.#writeDigest?.end();
      // Readers must find neither bytes that are about to be cut off, nor bytes that do not exist yet.
      this.#size = Math.min(this.#size, size);
      await truncateFile(fd, size);
      this.#size = size;
    });
  }

  /** Makes the part of a range that is within the file read as zeros. */
  zero(offset: number, length: number): Promise<void> {
    return this.#change(async (fd) => {
      const end = Math.min(offset + length, this.#size);
      if (end <= offset) return;
      this.#writeDigest?.end();
      await zeroRange(this.#sparse, fd, offset, end - offset, (bytes) => this.#freeSpace?.require(bytes));
      this.#present.add(offset, end);
    });
  }

  /** SEEK_DATA and SEEK_HOLE (lseek(2)) from an offset within the file; null if no data follows. */
  seek(offset: number, whence: 'data' | 'hole'): number | null {
    const file = { size: this.#size, missing: this.missing(), local: localSeek(this.#sparse, this.#file()) };
    return whence === 'data' ? nextData(file, offset) : nextHole(file, offset);
  }

  /** Fetches every byte that is still the base's. */
  async fill(readBase: ReadBase, signal?: AbortSignal): Promise<void> {
    if (this.isComplete()) return;
    for (const [start, end] of this.#gaps(0, this.#size)) {
      for (let at = start; at < end; at += CHUNK) {
        signal?.throwIfAborted();
        const data = Buffer.allocUnsafe(Math.min(CHUNK, end - at));
        await orAborted(readBase(data, at, end), signal);
        await this.#change(async (fd) => {
          // Only the gaps: bytes that a program wrote meanwhile are newer.
          for (const [from, to] of this.#gaps(at, at + data.length)) {
            this.#freeSpace?.require(to - from);
            await writeAt(fd, data.subarray(from - at, to - at), from);
            this.#present.add(from, to);
          }
        });
      }
    }
  }

  /** True if no bytes of the base are missing. */
  isComplete(): boolean {
    return this.missing().length === 0;
  }

  /** The ranges [start, end) that are still the base's. */
  missing(): [number, number][] {
    return this.#gaps(0, this.#size);
  }

  /** The whole content; null if it has more than `limit` bytes, or bytes of the base are missing. */
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

  /** Resolves when the file's bytes are on the disk (fdatasync). */
  sync(): Promise<void> {
    return this.#uses.during(this.#sync);
  }

  readonly #sync = repeatableSync({
    sync: () => this.#syncFile(this.#file()),
    onFailure: () => void this.losses++,
    writeAgain: async () => {
      // The kernel may be writing to the file at this moment.
      if (this.isShared) throw new SyncmountError('spool', `the disk has failed to store ${this.path}`);
      await this.#changes.run(() => writeAgain(this.#file(), this.#present.ranges(), this.#sparse));
    },
  });

  /**
   * The hashes of the whole content. The first call does not read again bytes that were hashed while they were written. A terabyte takes
   * half an hour, so the call ends soon after `signal` aborts.
   */
  digest(blockBytes: number, signal?: AbortSignal): Promise<Digest> {
    return this.#uses.during(async () => {
      const written = await this.#writeDigest?.take();
      const isUsable = written != null && written.blockBytes === blockBytes && written.bytes > 0;
      if (!isUsable) written?.drop();
      // Waking a thread takes longer than hashing a small content.
      const hasher = this.#size <= CHUNK ? inlineHasher : this.#hasher;
      const digest = isUsable ? written : hasher.digest(blockBytes);
      try {
        const fd = this.#file();
        if (fstatSync(fd).size < this.#size) this.#tooShort();
        while (digest.bytes < this.#size) {
          signal?.throwIfAborted();
          if (!(await digest.add(fd, Math.min(HASH_CHUNK, this.#size - digest.bytes)))) this.#tooShort();
        }
        return await digest.result();
      } finally {
        digest.drop();
      }
    });
  }

  /** The content for an upload. It must be complete, and must not change before the upload ends. */
  source(digest: () => Promise<Digest>): UploadSource {
    return {
      size: this.#size,
      read: (offset, length) => this.#chunks(offset, length),
      whileOpen: (act) =>
        this.#uses.during(async () => {
          const fd = this.#file();
          if (fstatSync(fd).size < this.#size) this.#tooShort();
          return await act(fd);
        }),
      md5: async () => (await digest()).md5,
    };
  }

  /** Closes the descriptor when it is not in use. The next use opens it again. */
  async close(): Promise<void> {
    while (this.#uses.isBusy) await this.#uses.idle();
    this.#writeDigest?.end();
    const fd = this.#fd;
    this.#fd = null;
    if (fd !== null) closeSync(fd);
  }

  /** Closes and deletes the file. */
  async remove(): Promise<void> {
    await this.close();
    // Freeing the blocks of a large file takes seconds: too long for the event loop.
    if (this.#size > LARGE) await rm(this.path, { force: true });
    else rmSync(this.path, { force: true });
  }

  async *#chunks(offset: number, length: number): AsyncGenerator<Uint8Array> {
    for (let at = offset; at < offset + length; at += CHUNK) {
      const data = Buffer.allocUnsafe(Math.min(CHUNK, offset + length - at));
      // One use per chunk: an abandoned upload may never ask for the next one.
      this.#requireWhole(await this.#uses.during(async () => readRecentAt(this.#file(), data, at)), data);
      yield data;
    }
  }

  async #write(fd: number, data: Uint8Array, offset: number): Promise<void> {
    this.#freeSpace?.require(data.length);
    // If the kernel writes too, the order of the writes is unknown.
    if (this.isShared) this.#writeDigest?.end();
    const continuesDigest = !this.isShared && this.#writeDigest?.continues(offset) === true;
    await writeAt(fd, data, offset);
    this.#present.add(offset, offset + data.length);
    this.#size = Math.max(this.#size, offset + data.length);
    if (continuesDigest) this.#writeDigest?.written();
  }

  #writtenFile(): WrittenFile {
    const size = (): number => this.#size;
    return {
      get size() {
        return size();
      },
      whileOpen: (act) => {
        const fd = this.#fd;
        return fd === null ? null : this.#uses.during(() => act(fd));
      },
    };
  }

  #change(act: (fd: number) => Promise<void>): Promise<void> {
    return this.#uses.during(() => this.#changes.run(async () => act(this.#file())));
  }

  /** Throws if the file is shorter than the content: such a file is damaged, and its missing bytes are not zeros. */
  #requireWhole(count: number, wanted: Uint8Array): void {
    if (count < wanted.length) this.#tooShort();
  }

  #tooShort(): never {
    throw new SyncmountError('spool', `${this.path} is shorter than its content`);
  }

  #gaps(start: number, end: number): [number, number][] {
    return this.#present.gaps(start, Math.min(end, this.#baseEnd));
  }

  /** Opens the file here and not in a thread: see base/files.ts. */
  #file(create = 0): number {
    this.#fd ??= openSync(this.path, constants.O_RDWR | create, 0o600);
    return this.#fd;
  }
}
