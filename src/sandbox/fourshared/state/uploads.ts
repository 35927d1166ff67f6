/** Chunked uploads. `POST /upload` starts one, `POST /upload/{id}` sends its bytes. The last byte completes the file. */
import type { FileHandle } from 'node:fs/promises';
import type { BlobStore } from '../../content/blobs.js';
import { PrefixHash } from '../../content/prefix-hash.js';
import * as refuse from '../errors.js';
import type { Settings } from '../options.js';
import type { Account } from './account.js';
import { type Actions, newFile, type Placement } from './actions.js';
import type { ByteRange, FileItem } from './items.js';
import { isIncomplete } from './items.js';

/** Bytes per write. Node passes each write to a thread, which costs as much as writing 64 KiB. */
const writeBytes = 1024 * 1024;

interface Running {
  file: FileHandle;
  hash: PrefixHash;
  /** The completion, which begins when every byte is stored. */
  completing?: Promise<void>;
}

export type ChunkOutcome = 'stored' | 'completed';

export class Uploads {
  #running = new Map<string, Promise<Running>>();

  constructor(
    readonly account: Account,
    readonly actions: Actions,
    readonly blobs: BlobStore,
    readonly settings: Settings,
  ) {}

  /** "Starts a new chunk upload process. Returns file entity including the id of the new file." */
  async start(place: Placement, size: number, details: Partial<FileItem>): Promise<FileItem> {
    const { account, actions, blobs } = this;
    const { readings } = account;
    if (size < 1) throw refuse.badSize('A file of no bytes has no chunks.');
    if (readings.uploadMinimum === 'over-limit' && size <= this.settings.simpleUploadLimit)
      throw refuse.badSize('Files of this size go to POST /files.');
    const existing = readings.uploadExistingName === 'new-version' ? this.#existing(place) : undefined;
    const check = () => (existing ? actions.checkNewVersion(existing, place, size) : actions.checkNewFile(place, size));
    check();
    const blob = await blobs.allocate(size);
    try {
      check();
    } catch (error) {
      blobs.release(blob);
      throw error;
    }
    const upload = { size, blob, ranges: [] };
    if (existing) {
      if (existing.upload) this.#forget(existing);
      account.change(existing, () => Object.assign(existing, { upload }));
      return existing;
    }
    const file: FileItem = { ...newFile(account, place, size), ...details, upload };
    account.add(file);
    return file;
  }

  /** Stores the bytes from `first` on. The request announces `length` of them. */
  async chunk(file: FileItem, first: number, length: number, body: AsyncIterable<Buffer>): Promise<ChunkOutcome> {
    const upload = file.upload;
    if (!upload) throw refuse.notFound();
    const running = await this.#run(file);
    let at = first;
    const pieces: Buffer[] = [];
    let gathered = 0;
    const write = async (): Promise<void> => {
      // Another connection may send the same bytes, and complete the file before this one ends.
      if (file.upload === upload) await writeAll(running.file, pieces, at);
      at += gathered;
      pieces.length = 0;
      gathered = 0;
    };
    try {
      for await (const piece of body) {
        if (at + gathered + piece.length > first + length)
          throw refuse.badSize('The body is longer than its Content-Length.');
        pieces.push(piece);
        gathered += piece.length;
        if (gathered >= writeBytes) await write();
      }
      await write();
    } catch (error) {
      if (this.account.readings.partialChunks === 'kept') {
        await write();
        if (at > first) this.#store(file, [first, at - 1]);
      }
      throw error;
    } finally {
      if (file.upload === upload) running.hash.rewritten(first);
    }
    if (at !== first + length) throw refuse.badSize('The body is shorter than its Content-Length.');
    if (this.account.items.get(file.id) !== file) throw refuse.notFound();
    if (file.upload !== upload) {
      // The same bytes were sent twice, and the first ones have completed the file meanwhile.
      if (file.upload || !file.chunked || this.account.readings.chunkAfterCompletion === 'gone')
        throw refuse.notFound();
      return 'completed';
    }
    this.#store(file, [first, at - 1]);
    running.hash.extend(contiguous(upload.ranges));
    if (!isWhole(upload)) return 'stored';
    running.completing ??= this.#finish(file, running);
    await running.completing;
    return 'completed';
  }

  async close(): Promise<void> {
    for (const running of this.#running.values()) {
      const { file, hash } = await running;
      await hash.settled().catch(() => undefined);
      await file.close();
    }
    this.#running.clear();
  }

  #existing({ folder, name }: Placement): FileItem | undefined {
    const found = this.account.index(folder.id).named(name);
    return found?.kind === 'file' && !isIncomplete(found) ? found : undefined;
  }

  #store(file: FileItem, range: ByteRange): void {
    if (!file.upload) return;
    file.upload.ranges = joinRanges([...file.upload.ranges, range]);
    this.account.keeper.put(file);
  }

  /** Makes the file, when the last byte arrives or when a chunk is sent again after a failure. */
  async #finish(file: FileItem, running: Running): Promise<void> {
    try {
      this.#complete(file, await running.hash.digest());
    } finally {
      running.completing = undefined;
    }
  }

  #complete(file: FileItem, md5: string): void {
    const { account, actions } = this;
    const upload = file.upload;
    if (!upload || account.items.get(file.id) !== file) throw refuse.notFound();
    actions.rules.assertLive(file);
    if (isIncomplete(file) && !account.readings.incompleteHoldsName) {
      const folder = account.folder(file.parentId);
      if (folder) actions.rules.assertFree(folder, file.name, file);
    }
    const old = file.blob;
    account.change(file, () => {
      Object.assign(file, { size: upload.size, md5, blob: upload.blob, modified: account.now(), chunked: true });
      file.uploaded = account.nextUpload();
      delete file.upload;
    });
    if (old) this.blobs.release(old);
    this.#close(file.id);
  }

  #forget(file: FileItem): void {
    if (file.upload) this.blobs.release(file.upload.blob);
    this.#close(file.id);
  }

  #close(id: string): void {
    const running = this.#running.get(id);
    this.#running.delete(id);
    void running?.then(({ file }) => file.close()).catch(() => undefined);
  }

  #run(file: FileItem): Promise<Running> {
    let running = this.#running.get(file.id);
    if (!running) {
      running = this.#open(file.upload?.blob ?? '');
      this.#running.set(file.id, running);
    }
    return running;
  }

  async #open(blob: string): Promise<Running> {
    const file = await this.blobs.openForWriting(blob);
    return { file, hash: new PrefixHash(file) };
  }
}

/** Writes all pieces one after the other, from `position` on. */
async function writeAll(file: FileHandle, pieces: readonly Buffer[], position: number): Promise<void> {
  if (pieces.length === 0) return;
  const total = pieces.reduce((sum, { length }) => sum + length, 0);
  const { bytesWritten } = await file.writev(pieces, position);
  if (bytesWritten === total) return;
  const rest = Buffer.concat(pieces).subarray(bytesWritten);
  for (let done = 0; done < rest.length; )
    done += (await file.write(rest, done, rest.length - done, position + bytesWritten + done)).bytesWritten;
}

/** Sorts the spans and merges adjacent ones. */
export function joinRanges(ranges: readonly ByteRange[]): ByteRange[] {
  const joined: ByteRange[] = [];
  for (const [first, last] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const before = joined.at(-1);
    if (before && first <= before[1] + 1) before[1] = Math.max(before[1], last);
    else joined.push([first, last]);
  }
  return joined;
}

/** The length of the complete prefix, bytes. */
export function contiguous(ranges: readonly ByteRange[]): number {
  const [range] = ranges;
  return range && range[0] === 0 ? range[1] + 1 : 0;
}

function isWhole(upload: { size: number; ranges: ByteRange[] }): boolean {
  return contiguous(upload.ranges) === upload.size;
}
