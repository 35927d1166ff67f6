/** "Upload large files in chunks using a three-step process: initialize, upload parts, then complete." */
import { randomBytes } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import type { BlobStore } from '../content/blobs.js';
import { PrefixHash } from '../content/prefix-hash.js';
import type { Keeper } from '../journal.js';
import type { Clock } from './clock.js';
import { badRequest, notFound } from './errors.js';
import type { Files, Place } from './files.js';
import type { FiveSyncReadings, FiveSyncSettings } from './options.js';
import type { FileRecord, Rec, UploadRecord } from './records.js';

interface Running {
  file: FileHandle;
  hash: PrefixHash;
}

export class Uploads {
  readonly open = new Map<string, UploadRecord>();
  #running = new Map<string, Promise<Running>>();
  #completing = new Map<string, Promise<FileRecord>>();

  constructor(
    loaded: Iterable<UploadRecord>,
    readonly files: Files,
    readonly blobs: BlobStore,
    readonly clock: Clock,
    readonly readings: FiveSyncReadings,
    readonly settings: FiveSyncSettings,
    readonly keeper: Keeper<Rec>,
  ) {
    for (const upload of loaded) this.open.set(upload.id, upload);
  }

  async init(place: Place, size: number, parts: number): Promise<UploadRecord> {
    const { mostParts, uploadLifetimeSeconds } = this.settings;
    if (size < 1) throw badRequest('size must be at least 1.');
    if (parts < 1 || parts > mostParts) throw badRequest(`parts must be between 1 and ${mostParts}.`);
    const chunk = this.readings.chunkSize === 'fixed' ? this.settings.chunkSize : Math.ceil(size / parts);
    if (this.readings.chunkSize === 'from-parts' && (parts - 1) * chunk >= size)
      throw badRequest(`${size} bytes cannot be split into ${parts} parts of one size.`);
    this.files.assertRoom(size);
    for (const old of this.open.values()) if (this.#isExpired(old)) this.#forget(old);
    const upload: UploadRecord = {
      kind: 'upload',
      id: `up_${randomBytes(6).toString('hex')}`,
      ...place,
      ...{ size, parts, chunk, received: [] },
      blob: await this.blobs.allocate(size),
      expires: this.clock.stamp() + uploadLifetimeSeconds * 1000,
    };
    this.open.set(upload.id, upload);
    this.keeper.put(upload);
    return upload;
  }

  /** Stores one part. Its size must match `chunk_size`. A part that is sent again replaces the first one. */
  async part(id: string, index: number, body: AsyncIterable<Buffer>): Promise<void> {
    const upload = this.#find(id);
    const start = index * upload.chunk;
    const length = Math.min(upload.chunk, upload.size - start);
    if (index >= upload.parts || length <= 0) throw badRequest(`There is no part ${index}.`);
    const { file, hash } = await this.#run(upload);
    if (upload.received.includes(index)) upload.received = upload.received.filter((other) => other !== index);
    hash.rewritten(start);
    let at = start;
    for await (const piece of body) {
      if (at + piece.length > start + length) throw badRequest(`Part ${index} must have ${length} bytes, not more.`);
      this.#assertOpen(upload);
      await file.write(piece, 0, piece.length, at);
      at += piece.length;
    }
    if (at !== start + length) throw badRequest(`Part ${index} must have ${length} bytes, not ${at - start}.`);
    this.#assertOpen(upload);
    if (!upload.received.includes(index)) upload.received.push(index);
    this.keeper.put(upload);
    hash.extend(this.#prefix(upload));
  }

  /** "Once all parts are uploaded, finalize the multipart upload." */
  async complete(id: string): Promise<FileRecord> {
    const known = this.#completing.get(id);
    if (known && this.readings.completeAgain === 'repeats') return known;
    const upload = this.#find(id);
    const missing = Array.from({ length: upload.parts }, (_, n) => n).filter((n) => !upload.received.includes(n));
    if (missing.length > 0) throw badRequest(`Parts are missing: ${missing.slice(0, 10).join(', ')}`);
    if (this.#prefix(upload) !== upload.size)
      throw badRequest(`${upload.parts} parts of ${upload.chunk} bytes are less than ${upload.size} bytes.`);
    this.open.delete(id);
    const completing = this.#finish(upload);
    this.#completing.set(id, completing);
    completing.catch(() => {
      this.#completing.delete(id);
      this.open.set(id, upload);
    });
    return completing;
  }

  async close(): Promise<void> {
    for (const running of this.#running.values()) {
      const { file, hash } = await running;
      await hash.settled().catch(() => undefined);
      await file.close();
    }
    this.#running.clear();
  }

  async #finish(upload: UploadRecord): Promise<FileRecord> {
    const { hash } = await this.#run(upload);
    const md5 = await hash.digest();
    // The content stays, however the upload ends.
    this.blobs.retain(upload.blob);
    const file = this.files.put({ dir: upload.dir, name: upload.name }, { blob: upload.blob, size: upload.size, md5 });
    this.#forget(upload);
    return file;
  }

  #find(id: string): UploadRecord {
    const upload = this.open.get(id);
    if (!upload) throw notFound();
    if (this.#isExpired(upload)) {
      this.#forget(upload);
      throw notFound();
    }
    return upload;
  }

  #assertOpen(upload: UploadRecord): void {
    if (this.open.get(upload.id) !== upload) throw notFound();
  }

  #isExpired(upload: UploadRecord): boolean {
    return this.clock.time() >= upload.expires;
  }

  #forget(upload: UploadRecord): void {
    this.open.delete(upload.id);
    this.keeper.remove(upload.id);
    this.blobs.release(upload.blob);
    const running = this.#running.get(upload.id);
    this.#running.delete(upload.id);
    void running?.then(({ file }) => file.close()).catch(() => undefined);
  }

  /** The length of the complete prefix, bytes. */
  #prefix({ received, chunk, size }: UploadRecord): number {
    const there = new Set(received);
    let parts = 0;
    while (there.has(parts)) parts += 1;
    return Math.min(parts * chunk, size);
  }

  #run(upload: UploadRecord): Promise<Running> {
    let running = this.#running.get(upload.id);
    if (!running) {
      running = this.blobs.openForWriting(upload.blob).then((file) => {
        const hash = new PrefixHash(file);
        hash.extend(this.#prefix(upload));
        return { file, hash };
      });
      this.#running.set(upload.id, running);
    }
    return running;
  }
}
