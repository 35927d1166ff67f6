/**
 * Storing content. Up to the documents' "150 MB" in one request; above in chunks, under a temporary name that then
 * becomes the final one or, for a new version, takes the old one's place: `/upload` knows folder and name only.
 *
 * Whatever was stored is compared with what was meant: size always, md5 where the server tells it.
 */
import { randomBytes } from 'node:crypto';
import { type Log, silentLog } from '../../base/log.js';
import { ProviderError } from '../errors.js';
import type { CallOptions } from '../http/client/client.js';
import type { Content } from '../http/transport/transport.js';
import { checkName } from '../names.js';
import type { RemoteFile, UploadCheckpoint, UploadOptions, UploadSource, UploadTarget } from '../provider.js';
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
import { finishUpload, settleReplaced } from './replace.js';

export interface UploaderSettings {
  /** Largest content that goes in one request, bytes. */
  readonly simpleUploadLimit: number;
  readonly chunkBytes?: number;
  readonly disposal: 'trash' | 'permanent';
  readonly log?: Log;
}

/** "150 MB" may mean 150,000,000 or 157,286,400: below the smaller, with a margin for "less than". */
export const defaultSimpleUploadLimit = 150_000_000 - 1_000_000;

export class Uploader {
  readonly #api: FourSharedApi;
  readonly #namespace: Namespace;
  readonly #settings: UploaderSettings;
  readonly #sender: ChunkSender;
  readonly #log: Log;
  /** Shrinks when the server turns out to have a lower one (403.0206). */
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
   * Removes the file of an upload that nobody resumes, as long as it has no name of its own, and gives the version that
   * stepped aside for it its name back. Where it has taken the name already, the version that it replaced goes.
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
    const lookup = (lookupOptions: CallOptions): Promise<FileResponse | undefined> =>
      findFile(this.#api, parentId, isOurs, lookupOptions);
    const body: Content = {
      size: source.size,
      open: () => source.read(0, source.size),
      onProgress: options.onProgress?.bind(options),
    };
    const call = callOptions(options);
    // An earlier try may have stored it just before its answer was lost.
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
        // What is wrong and new must not keep the name from the next try.
        const isOutOfTheWay = replaces !== undefined || found !== undefined || (await this.#discard(answer.id, call));
        if (again || !isOutOfTheWay) throw error;
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
      resume === undefined ? this.#begin(target, content) : await this.#reconsider(target, content, resume, options);
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
            // A server that takes chunks in any order but does not put them in order shows itself here.
            this.#sender.manners.anyOrder = false;
          }
          // One that is called gone may be there all the same, and nobody would ever know it again.
          const isLeft = isIntegrity(error) || isCode(error, 'not-found');
          if (isLeft && sent !== undefined) await this.#discard(sent, callOptions(options));
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
   * Always under a name of its own, also for a new file: an upload whose start was not answered, or that a crash left
   * behind, may hold its name without being listed, and nothing could then ever take that name. The rename at the end
   * costs one request per large file, and nobody sees half a file.
   */
  #begin(target: UploadTarget, content: ExpectedContent): ChunkedCheckpoint {
    const uploadName = temporaryName();
    return { v: 1, kind: 'chunked', ...content, parentId: target.parentId, uploadName, phase: 'starting', stored: [] };
  }

  /** Where an interrupted upload really stands. */
  async #reconsider(
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
    // The new file may have been removed by somebody since.
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
        // Our own start, of before a crash or with its answer lost, holds the name but is not listed: leave it.
        if (!isCode(error, 'exists') || ++collisions > 2) throw error;
        checkpoint = { ...checkpoint, uploadName: temporaryName() };
      }
    }
  }

  /** The id of an upload of this name that was started, or even finished, and is listed. */
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
    const alreadyThere =
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
    if (!alreadyThere || (await this.#sender.status(uploadId, call))?.complete !== true)
      await this.#sender.send(session, begun.stored);
    const file = await this.#verified(await this.#completed(uploadId, begun, call), content, begun.parentId, call);
    return [{ ...checkpoint, phase: 'uploaded', newId: file.id }, file];
  }

  /** The file that a completed upload became. The documents call the upload's id the id of the new file. */
  async #completed(uploadId: string, checkpoint: ChunkedCheckpoint, options: CallOptions): Promise<FileResponse> {
    const route = 'GET /files/{id}';
    const begun = this.#api.http.clock.now();
    for (let wait = 100; ; wait = Math.min(wait * 2, 2000)) {
      const file =
        (await orGone(this.#api.file(uploadId, options))) ??
        (await findFile(this.#api, checkpoint.parentId, (other) => other.name === checkpoint.uploadName, options));
      if (file !== undefined && !isHidden(file.status)) return file;
      // The server may still be putting the chunks together.
      if (this.#api.http.clock.now() - begun + wait > this.#api.http.deadlineMs)
        throw new ProviderError('integrity', `${route}: the upload is complete, but there is no file`, {
          data: { route },
        });
      await this.#api.http.sleep(wait, route, options);
    }
  }

  /** Resolves when the stored file is what was meant; asks once more before it says that it is not. */
  async #verified(
    answer: FileResponse,
    content: ExpectedContent,
    parentId: string,
    options: CallOptions,
  ): Promise<RemoteFile> {
    let told = answer;
    if (!holds(told, content)) told = await this.#api.file(answer.id, options);
    const file = holds(told, content) ? toFile(told, told.parentId ?? parentId, 'write') : undefined;
    if (file !== undefined) return file;
    throw new ProviderError('integrity', 'the server did not store what was sent', {
      data: { size: content.size, md5: content.md5, storedSize: told.size, storedMd5: told.md5, status: told.status },
    });
  }

  /** Removes what an upload left behind. Resolves with whether it is gone; a failure to do so is no error. */
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

/** Local trouble is reported as the uploads are: the caller knows no other kind of error. */
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
