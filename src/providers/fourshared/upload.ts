/**
 * Stores content. Up to the documents' "150 MB" it goes in one request. Larger content goes in chunks to a file with a
 * temporary name, because `/upload` takes a folder and a name but no id. At the end replace.ts gives that file its name,
 * or puts it in the old version's place.
 *
 * Every stored file is checked against its source: the size always, the md5 if the server reports it.
 */
import { randomBytes } from 'node:crypto';
import { steadyTimeOf } from '../../base/clock.js';
import { type Log, silentLog } from '../../base/log.js';
import type { UploadSource } from '../content.js';
import { ProviderError } from '../errors.js';
import type { CallOptions } from '../http/client/call.js';
import { contentOf } from '../http/transport/content.js';
import { checkName } from '../names.js';
import type { RemoteFile, UploadCheckpoint, UploadOptions, UploadTarget } from '../provider.js';
import type { FourSharedApi } from './api.js';
import {
  announce,
  type ChunkedCheckpoint,
  parseAbandoned,
  parseCheckpoint,
  type SimpleCheckpoint,
} from './checkpoint.js';
import { chunkPolicy } from './chunk-plan.js';
import { ChunkSender } from './chunk-sender.js';
import { type FileResponse, isHidden, startedUploadSchema, toFile } from './entities.js';
import { type ExpectedContent, findFile, holds, orGone } from './find.js';
import { maxNameLength, type Namespace } from './namespace.js';
import { finishUpload, requireSameRevision, settleReplaced } from './replace.js';

export interface UploaderSettings {
  /** Largest content that goes in one request, bytes. */
  readonly simpleUploadLimit: number;
  readonly chunkBytes?: number;
  readonly disposal: 'trash' | 'permanent';
  readonly log?: Log;
}

/** "150 MB" may mean 150,000,000 or 157,286,400 bytes. We stay below the smaller, with a margin for "less than". */
export const defaultSimpleUploadLimit = 150_000_000 - 1_000_000;

export class Uploader {
  readonly #api: FourSharedApi;
  readonly #namespace: Namespace;
  readonly #settings: UploaderSettings;
  readonly #sender: ChunkSender;
  readonly #log: Log;
  /** Bytes. Lowered when the server refuses a content as too large for one request (403.0206). */
  #simpleLimit: number;

  constructor(api: FourSharedApi, namespace: Namespace, settings: UploaderSettings) {
    this.#api = api;
    this.#namespace = namespace;
    this.#settings = settings;
    this.#sender = new ChunkSender(api);
    this.#log = settings.log ?? silentLog;
    this.#simpleLimit = settings.simpleUploadLimit;
  }

  async upload(target: UploadTarget, source: UploadSource, options: UploadOptions): Promise<RemoteFile> {
    checkName(target.name, maxNameLength);
    const content: ExpectedContent = { size: source.size, md5: (await readMd5(source)).toLowerCase() };
    const resume = parseCheckpoint(options.resume, content);
    if (resume?.kind === 'chunked') return await this.#chunked(target, source, content, options, resume);
    if (source.size > this.#simpleLimit) return await this.#chunked(target, source, content, options);
    try {
      return await this.#simple(target, source, content, options, resume);
    } catch (error) {
      // "To upload files larger than [value] MB, use /upload": the server's limit is lower than the documents'.
      if (!(error instanceof ProviderError) || error.data.providerCode !== '403.0206') throw error;
      this.#simpleLimit = Math.min(this.#simpleLimit, source.size - 1);
      return await this.#chunked(target, source, content, options);
    }
  }

  /**
   * Cleans up after an upload that nobody will resume. If its file still has the temporary name, the file is removed, and
   * a version that was moved aside gets its name back. If the file already has the final name, the version that it
   * replaced is disposed of.
   */
  async discard(checkpoint: UploadCheckpoint, call: CallOptions): Promise<void> {
    const abandoned = parseAbandoned(checkpoint);
    if (abandoned === undefined) return;
    const { newId, uploadId, uploadName, oldId, phase } = abandoned;
    const id = newId ?? uploadId ?? (await this.#findStarted(abandoned, call));
    const file = id === undefined ? undefined : await orGone(this.#api.file(id, call));
    const isNamed = file !== undefined && file.name !== uploadName;
    if (file !== undefined && !isNamed) await this.#discard(file.id, call);
    if (oldId !== undefined && phase !== 'uploaded')
      await settleReplaced(this.#namespace, this.#settings.disposal, abandoned, isNamed, this.#log, call);
  }

  async #simple(
    target: UploadTarget,
    source: UploadSource,
    content: ExpectedContent,
    options: UploadOptions,
    resume?: SimpleCheckpoint,
  ): Promise<RemoteFile> {
    const { parentId, name, replaces } = target;
    const isOurs = (file: FileResponse): boolean => file.name === name && holds(file, content);
    const lookup = async (lookupOptions: CallOptions): Promise<FileResponse | undefined> => {
      const stored = await findFile(this.#api, parentId, isOurs, lookupOptions);
      if (stored === undefined && replaces !== undefined)
        requireSameRevision(await this.#namespace.stat('file', replaces.id, lookupOptions), replaces);
      return stored;
    };
    const body = contentOf(source, { onProgress: options.onProgress?.bind(options) });
    const call = callOptions(options);
    // An earlier try may have stored the file, and lost only the answer.
    let found = resume === undefined ? undefined : await lookup(call);
    let file: RemoteFile | undefined;
    for (let again = false; file === undefined; again = true) {
      let answer = found;
      if (answer === undefined) {
        await announce(options, { v: 1, kind: 'simple', ...content, parentId, name });
        answer =
          replaces === undefined
            ? await this.#api.uploadNew(parentId, name, body, call, lookup)
            : await this.#api.uploadVersion(replaces.id, parentId, name, body, call, lookup);
      }
      try {
        file = await this.#verified(answer, content, parentId, call);
      } catch (error) {
        if (!isIntegrity(error)) throw error;
        // A damaged new file must be removed: it would keep the name from the next try.
        const canSendAgain = replaces !== undefined || found !== undefined || (await this.#discard(answer.id, call));
        if (again || !canSendAgain) throw error;
        this.#log.warn({ size: content.size }, 'what was stored is damaged, sending it anew');
        found = undefined;
      }
    }
    options.onProgress?.(source.size);
    return file;
  }

  async #chunked(
    target: UploadTarget,
    source: UploadSource,
    content: ExpectedContent,
    options: UploadOptions,
    resume?: ChunkedCheckpoint,
  ): Promise<RemoteFile> {
    let checkpoint =
      resume === undefined ? this.#begin(target, content) : await this.#reconcile(target, content, resume, options);
    for (let again = false; ; again = true) {
      let verified: RemoteFile | undefined;
      if (checkpoint.phase === 'starting') checkpoint = await this.#start(checkpoint, options);
      if (checkpoint.phase === 'sending') {
        try {
          [checkpoint, verified] = await this.#sendChunks(source, content, checkpoint, options);
        } catch (error) {
          const sent = checkpoint.uploadId;
          const retry = !again && (isIntegrity(error) || isCode(error, 'not-found'));
          if (isIntegrity(error)) {
            // The server accepts chunks in any order, but may not put them in order. From now on we send them in order.
            this.#sender.quirks.anyOrder = false;
          }
          // The server may still have the upload, although it says `not-found`. After this nothing refers to it, so remove it.
          const mayRemain = isIntegrity(error) || isCode(error, 'not-found');
          if (mayRemain && sent !== undefined) await this.#discard(sent, callOptions(options));
          if (!retry) throw error;
          this.#log.warn({ size: content.size }, 'the upload went wrong at the server, sending it anew');
          checkpoint = this.#begin(target, content);
          continue;
        }
      }
      return await finishUpload(
        this.#api,
        this.#namespace,
        this.#settings,
        this.#log,
        target,
        checkpoint,
        options,
        verified,
      );
    }
  }

  /**
   * Uses a temporary name also for a new file. An upload whose start was not answered, or that a crash left behind, may
   * hold its name without being listed. If that were the final name, no file could ever take it. The rename at the end
   * costs one request per large file, and nobody sees half a file.
   */
  #begin(target: UploadTarget, content: ExpectedContent): ChunkedCheckpoint {
    const uploadName = temporaryName();
    return { v: 1, kind: 'chunked', ...content, parentId: target.parentId, uploadName, phase: 'starting', stored: [] };
  }

  /** The checkpoint of an interrupted upload, corrected by what the server has. */
  async #reconcile(
    target: UploadTarget,
    content: ExpectedContent,
    resume: ChunkedCheckpoint,
    options: UploadOptions,
  ): Promise<ChunkedCheckpoint> {
    const call = callOptions(options);
    const uploadId = resume.phase === 'starting' ? await this.#findStarted(resume, call) : resume.uploadId;
    if (resume.phase === 'starting' && uploadId === undefined) return resume;
    if ((resume.phase === 'starting' || resume.phase === 'sending') && uploadId !== undefined) {
      const status = await this.#sender.status(uploadId, call);
      if (status === undefined) return this.#begin(target, content);
      const stored = status.complete ? [{ start: 0, end: content.size }] : status.stored;
      return { ...resume, phase: 'sending', uploadId, stored };
    }
    // Another client may have removed the new file meanwhile.
    const file = resume.newId === undefined ? undefined : await orGone(this.#api.file(resume.newId, call));
    return file !== undefined && holds(file, content) ? resume : this.#begin(target, content);
  }

  async #start(begun: ChunkedCheckpoint, options: UploadOptions): Promise<ChunkedCheckpoint> {
    const call = callOptions(options);
    let checkpoint = begun;
    let collisions = 0;
    for (;;) {
      await announce(options, checkpoint);
      const { parentId, uploadName, size } = checkpoint;
      const form = { name: uploadName, folderId: parentId, size: String(size) };
      const request = this.#api.call('POST', 'upload', '/upload', '', { form });
      const lookup = async (lookupOptions: CallOptions): Promise<{ id: string } | undefined> => {
        const id = await this.#findStarted(checkpoint, lookupOptions);
        return id === undefined ? undefined : { id };
      };
      try {
        const { id } = await this.#api.json(request, startedUploadSchema, call, lookup);
        checkpoint = { ...checkpoint, phase: 'sending', uploadId: id };
        await announce(options, checkpoint);
        return checkpoint;
      } catch (error) {
        // An earlier start of ours, unanswered or from before a crash, holds the name but is not listed. Leave it there.
        if (!isCode(error, 'exists') || ++collisions > 2) throw error;
        checkpoint = { ...checkpoint, uploadName: temporaryName() };
      }
    }
  }

  /** The id of a listed upload of this name, started or finished. */
  async #findStarted(checkpoint: ChunkedCheckpoint, options: CallOptions): Promise<string | undefined> {
    const matches = (file: FileResponse): boolean =>
      file.name === checkpoint.uploadName &&
      (holds(file, checkpoint) ||
        (file.status?.toLowerCase() === 'incomplete' && (file.size ?? checkpoint.size) === checkpoint.size));
    return (await findFile(this.#api, checkpoint.parentId, matches, options))?.id;
  }

  async #sendChunks(
    source: UploadSource,
    content: ExpectedContent,
    begun: ChunkedCheckpoint,
    options: UploadOptions,
  ): Promise<[ChunkedCheckpoint, RemoteFile]> {
    let checkpoint = begun;
    const uploadId = begun.uploadId ?? '';
    const call = callOptions(options);
    const isAllStored =
      begun.stored.length === 1 && begun.stored[0]?.start === 0 && begun.stored[0].end === content.size;
    const session = {
      uploadId,
      source,
      policy: chunkPolicy(content.size, this.#settings.chunkBytes),
      options: call,
      onStored: async (stored: readonly { start: number; end: number }[], bytes: number): Promise<void> => {
        options.onProgress?.(bytes);
        checkpoint = { ...checkpoint, stored: [...stored] };
        await announce(options, checkpoint);
      },
    };
    if (!isAllStored || (await this.#sender.status(uploadId, call))?.complete !== true)
      await this.#sender.send(session, begun.stored);
    const file = await this.#verified(await this.#completed(uploadId, begun, call), content, begun.parentId, call);
    return [{ ...checkpoint, phase: 'uploaded', newId: file.id }, file];
  }

  /** The file of a completed upload. According to the documents the upload's id is the id of the new file. */
  async #completed(uploadId: string, checkpoint: ChunkedCheckpoint, options: CallOptions): Promise<FileResponse> {
    const route = 'GET /files/{id}';
    const time = steadyTimeOf(this.#api.http.clock);
    const begun = time.now();
    for (let wait = 100; ; wait = Math.min(wait * 2, 2000)) {
      const file =
        (await orGone(this.#api.file(uploadId, options))) ??
        (await findFile(this.#api, checkpoint.parentId, (other) => other.name === checkpoint.uploadName, options));
      if (file !== undefined && !isHidden(file.status)) return file;
      // The server may still be assembling the chunks.
      if (time.now() - begun + wait > this.#api.http.deadlineMs)
        throw new ProviderError('integrity', `${route}: the upload is complete, but there is no file`, {
          data: { route },
        });
      await this.#api.http.sleep(wait, route, options);
    }
  }

  /** Resolves if the stored file matches `content`. Before it rejects with `integrity`, it asks the server once more. */
  async #verified(
    answer: FileResponse,
    content: ExpectedContent,
    parentId: string,
    options: CallOptions,
  ): Promise<RemoteFile> {
    let response = answer;
    if (!holds(response, content)) response = await this.#api.file(answer.id, options);
    const file = holds(response, content) ? toFile(response, response.parentId ?? parentId, 'write') : undefined;
    if (file !== undefined) return file;
    throw new ProviderError('integrity', 'the server did not store what was sent', {
      data: {
        size: content.size,
        md5: content.md5,
        storedSize: response.size,
        storedMd5: response.md5,
        status: response.status,
      },
    });
  }

  /** Removes the file of a failed upload. Resolves with whether it is gone, and never rejects. */
  async #discard(id: string, options: CallOptions): Promise<boolean> {
    try {
      await this.#api.remove('file', id, options, async () => false);
      return true;
    } catch (error) {
      if (isCode(error, 'not-found')) return true;
      this.#log.warn({}, 'a broken upload could not be removed');
      return false;
    }
  }
}

function temporaryName(): string {
  return `.syncmount-${randomBytes(6).toString('hex')}.part`;
}

/** Reports a local failure as a ProviderError, the only kind of error that the caller handles. */
async function readMd5(source: UploadSource): Promise<string> {
  try {
    return await source.md5();
  } catch (cause) {
    throw new ProviderError('integrity', 'the content to upload could not be read', { cause, data: {} });
  }
}

function callOptions(options: UploadOptions): CallOptions {
  return { signal: options.signal, priority: options.priority, waitBudget: options.waitBudget };
}

function isCode(error: unknown, code: ProviderError['code']): boolean {
  return error instanceof ProviderError && error.code === code;
}

function isIntegrity(error: unknown): boolean {
  return isCode(error, 'integrity');
}
