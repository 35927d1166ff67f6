/**
 * Uploads files over 100 MB: init, parts in parallel, complete. The client must choose `parts` before the server says how
 * long a part is, and `init` has no documented parameter for the folder. This module finds out how the server handles both,
 * and remembers it.
 */
import { randomBytes } from 'node:crypto';
import pLimit from 'p-limit';
import { z } from 'zod';
import { type Log, silentLog } from '../../base/log.js';
import type { UploadSource } from '../content.js';
import { ProviderError } from '../errors.js';
import { protocolFailure } from '../http/answers/http-error.js';
import { timeIn } from '../http/answers/times.js';
import type { CallOptions } from '../http/client/call.js';
import { contentOf } from '../http/transport/content.js';
import type { UploadCheckpoint, UploadOptions } from '../provider.js';
import { type FiveSyncApi, isCode, isStatus } from './api.js';
import { childPath, type FileRecord, type Item, rootPath } from './entities.js';
import { naming } from './temporaries.js';
import type { UploadOutcome } from './upload-outcome.js';

/** First guess at the length of a part, bytes. Few requests if the server follows `parts`; one more init if it does not. */
const initialPartBytes = 32 * 1024 * 1024;
/** Bytes. The document's example, for a server that accepts no other number of parts. */
const documentedPartBytes = 5_242_880;
/** Parts sent at once. Other clients use as many connections, because a service may limit the speed of each. */
const width = 8;
/** An upload that expires within this time is not continued, ms. */
const expiryMargin = 5000;
/** How often to begin an upload anew that expired, or that the server lost. */
const restarts = 3;

/** How `init` gets the folder, for which the document names no parameter. */
type FolderForm = 'path' | 'filename';

const checkpointSchema = z.object({
  v: z.literal(1),
  kind: z.literal('parts'),
  size: z.number(),
  md5: z.string(),
  folder: z.string(),
  name: z.string(),
  uploadId: z.string(),
  partBytes: z.number(),
  parts: z.number(),
  expires: z.number().nullable(),
  received: z.array(z.number()),
});
type Checkpoint = z.infer<typeof checkpointSchema>;

/** Start and length of each part, or undefined if `parts` parts of `partBytes` do not add up to `size`. Pure. */
export function planParts(
  size: number,
  parts: number,
  partBytes: number,
): { readonly offset: number; readonly length: number }[] | undefined {
  if (partBytes <= 0 || parts < 1) return undefined;
  const last = size - partBytes * (parts - 1);
  if (last < 1 || last > partBytes) return undefined;
  return Array.from({ length: parts }, (_, i) => ({
    offset: i * partBytes,
    length: i === parts - 1 ? last : partBytes,
  }));
}

/** The state of the name under which a content will be stored. */
export interface TargetState {
  isKnown(id: string): boolean;
  requireUnchanged(options: CallOptions): Promise<void>;
  lookup(options: CallOptions): Promise<Item | undefined>;
}

export class PartsUploader {
  readonly #api: FiveSyncApi;
  readonly #outcome: UploadOutcome;
  readonly #log: Log;
  #partBytes: number;
  #folderForm: FolderForm | undefined;

  constructor(api: FiveSyncApi, outcome: UploadOutcome, log: Log = silentLog, partBytes = initialPartBytes) {
    this.#partBytes = partBytes;
    this.#api = api;
    this.#outcome = outcome;
    this.#log = log;
  }

  /**
   * `isKnown` tells whether the id existed before the upload. `requireUnchanged` rejects if another client has stored something under the
   * name since then. `lookup` finds the file if the answer to `complete` was lost.
   */
  async upload(
    target: { readonly folder: string; readonly name: string },
    source: UploadSource,
    { isKnown, requireUnchanged, lookup }: TargetState,
    options: UploadOptions,
  ): Promise<FileRecord> {
    const { signal, priority, waitBudget } = options;
    const call: CallOptions = { signal, priority, waitBudget };
    if (target.folder !== rootPath) await this.#learnFolderForm(target.folder, options, call);
    const content = { size: source.size, md5: await source.md5() };
    let checkpoint = this.#resumable(target, content, options.resume);
    for (let left = restarts; ; left--) {
      checkpoint ??= await this.#begin(target, content, call);
      let item: Item;
      try {
        await options.onCheckpoint?.(checkpoint);
        await this.#send(checkpoint, source, options);
        // The parts take minutes, and `complete` may replace a file that another client has stored under the name.
        await requireUnchanged(call);
        item = await this.#api.complete(checkpoint.uploadId, call, lookup);
      } catch (error) {
        if (!isExpired(error) || left === 0) throw error;
        this.#log.warn({ size: source.size }, 'the upload expired at the server: sending it anew');
        checkpoint = undefined;
        continue;
      }
      // Outside of `try`: after `complete`, `not-found` concerns the file, and a new upload would make a second one.
      return await this.#outcome.find(item, target.folder, { isNew: !isKnown(item.id), sure: true }, call);
    }
  }

  /** Estimated number of requests: init, the parts (at their guessed length), a look at the name, complete. */
  requestsOf(size: number): number {
    return Math.ceil(size / this.#partBytes) + 3;
  }

  #resumable(
    target: { readonly folder: string; readonly name: string },
    content: { readonly size: number; readonly md5: string },
    resume: UploadCheckpoint | undefined,
  ): Checkpoint | undefined {
    const parsed = checkpointSchema.safeParse(resume);
    if (!parsed.success) return undefined;
    const { data } = parsed;
    return isOf(data, target, content) && !this.#isOver(data) ? data : undefined;
  }

  /** True if the server had received all parts of this content when the checkpoint was written. */
  wasSent(
    target: { readonly folder: string; readonly name: string },
    content: { readonly size: number; readonly md5: string },
    resume: UploadCheckpoint,
  ): boolean {
    const { data } = checkpointSchema.safeParse(resume);
    return data !== undefined && isOf(data, target, content) && data.received.length === data.parts;
  }

  #isOver({ expires }: Checkpoint): boolean {
    return expires !== null && this.#api.serverNow() > expires - expiryMargin;
  }

  async #begin(
    target: { readonly folder: string; readonly name: string },
    content: { readonly size: number; readonly md5: string },
    options: CallOptions,
  ): Promise<Checkpoint> {
    let partBytes = this.#partBytes;
    for (let tries = 0; tries < 3; tries++) {
      const parts = Math.max(1, Math.ceil(content.size / partBytes));
      let started: Awaited<ReturnType<FiveSyncApi['init']>>;
      try {
        started = await this.#api.init({ ...this.#nameFields(target), size: content.size, parts }, options);
      } catch (error) {
        if (!isStatus(error, 400) || partBytes === documentedPartBytes) throw error;
        partBytes = documentedPartBytes;
        continue;
      }
      const chunkBytes = started.chunk_size ?? Math.ceil(content.size / parts);
      if (planParts(content.size, parts, chunkBytes) !== undefined) {
        this.#partBytes = partBytes;
        return {
          v: 1,
          kind: 'parts',
          ...content,
          ...target,
          uploadId: started.upload_id,
          partBytes: chunkBytes,
          parts,
          expires: timeIn(started.expires) ?? null,
          received: [],
        };
      }
      partBytes = chunkBytes;
    }
    throw protocolFailure('POST /files/multipart/init', 'a chunk_size that fits no number of parts');
  }

  #nameFields({ folder, name }: { readonly folder: string; readonly name: string }): Record<string, string> {
    if (folder === rootPath) return { filename: name };
    return this.#folderForm === 'filename'
      ? { filename: childPath(folder, name).slice(1) }
      : { filename: name, path: folder };
  }

  async #send(begun: Checkpoint, source: UploadSource, options: UploadOptions): Promise<void> {
    const plan = planParts(begun.size, begun.parts, begun.partBytes) ?? [];
    const received = new Set(begun.received);
    const sent = plan.map((part, i) => (received.has(i) ? part.length : 0));
    const reportProgress = (): void => options.onProgress?.(sent.reduce((sum, bytes) => sum + bytes, 0));
    const stop = new AbortController();
    const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
    const limit = pLimit(width);
    const results = await Promise.allSettled(
      plan.map((part, i) =>
        limit(async () => {
          if (received.has(i)) return;
          signal.throwIfAborted();
          if (this.#isOver(begun)) throw expired();
          try {
            const content = contentOf(source, {}, part.offset, part.length);
            const answer = await this.#api.part(begun.uploadId, i, content, {
              signal,
              priority: options.priority,
              waitBudget: options.waitBudget,
            });
            if (answer.received === false || (typeof answer.part === 'number' && answer.part !== i))
              throw protocolFailure('PUT /files/multipart/{upload_id}/{part}', 'the part was not received');
            received.add(i);
            sent[i] = part.length;
            reportProgress();
            await options.onCheckpoint?.({ ...begun, received: [...received] });
          } catch (error) {
            stop.abort(error);
            throw error;
          }
        }),
      ),
    );
    options.signal?.throwIfAborted();
    if (results.every((result) => result.status === 'fulfilled')) return;
    // The first failure cancelled the other parts: report that one.
    throw stop.signal.reason;
  }

  /**
   * Uploads a file of one byte to find out how `init` takes the folder. Otherwise 100 MB might go to the wrong folder, and
   * perhaps overwrite a file of the same name there.
   */
  async #learnFolderForm(folder: string, upload: UploadOptions, options: CallOptions): Promise<void> {
    for (const form of ['path', 'filename'] as const) {
      if (this.#folderForm !== undefined) return;
      const name = `.syncmount-${randomBytes(6).toString('hex')}.probe`;
      const named: Record<string, string> =
        form === 'path' ? { filename: name, path: folder } : { filename: childPath(folder, name).slice(1) };
      // All places where the server may put the file.
      const temporaries = [
        { folder, name },
        { folder: rootPath, name },
        { folder: rootPath, name: childPath(folder, name).slice(1) },
      ];
      await naming(temporaries, upload).onCheckpoint?.({ ...upload.resume, v: 1 });
      let item: Item;
      try {
        const { upload_id } = await this.#api.init({ ...named, size: 1, parts: 1 }, options);
        await this.#api.part(upload_id, 0, { size: 1, open: oneByte }, options);
        item = await this.#api.complete(upload_id, options, async () => undefined);
      } catch (error) {
        if (isStatus(error, 400) || isStatus(error, 422)) continue;
        throw error;
      }
      const where = await this.#outcome.find(item, folder, { isNew: true, sure: true }, options);
      await this.#api.remove(where.id, options).catch((error: unknown) => {
        this.#log.warn({ code: (error as { code?: unknown }).code }, `${name} could not be removed`);
      });
      if (where.folder === folder && where.name === name) this.#folderForm = form;
    }
    if (this.#folderForm !== undefined) return;
    throw new ProviderError('too-large', '5sync stores files of more than 100 MB in the top folder only', {
      data: { onlyInRoot: true },
    });
  }
}

function isOf(
  { size, md5, folder, name }: Checkpoint,
  target: { readonly folder: string; readonly name: string },
  content: { readonly size: number; readonly md5: string },
): boolean {
  return size === content.size && md5 === content.md5 && folder === target.folder && name === target.name;
}

async function* oneByte(): AsyncGenerator<Uint8Array> {
  yield new Uint8Array(1);
}

function expired(): ProviderError {
  return new ProviderError('not-found', 'the upload has expired', { data: { expired: true } });
}

/** True if the server does not know the upload, or no longer knows it. */
function isExpired(error: unknown): boolean {
  return isCode(error, 'not-found');
}
