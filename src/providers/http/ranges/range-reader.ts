/**
 * Ranged downloads of one revision. When a connection breaks, the download resumes where it broke, under the same checks
 * as the first answer. Invariant: bytes are yielded only if they belong to the revision that the caller named. A caller that takes a
 * `RevisionProof` may get them before that is known: the proof tells within a second.
 */

import { lruOf } from '../../../base/lru.js';
import {
  type BodyBytes,
  type BodyChunk,
  type ByteRange,
  bytesOf,
  isStored,
  type RangeBody,
  type RevisionProof,
} from '../../content.js';
import { ProviderError } from '../../errors.js';
import { orAborted } from '../../or-aborted.js';
import { isYoung, type RemoteFile, revisionKey } from '../../provider.js';
import { header } from '../answers/answer.js';
import { protocolFailure, TryFailure } from '../answers/http-error.js';
import type { Call, CallOptions } from '../client/call.js';
import type { HttpClient } from '../client/client.js';
import { type Download, openDownload } from './download.js';
import { readRangeAnswer } from './range-answer.js';
import { isInDoubt, mayBeProvenLater, type RevisionSigns, validatorOf } from './revision-doubt.js';
import { RevisionWatch } from './revision-watch.js';
import { SingleFlight } from './single-flight.js';

/** How often in a row a body may break without a new byte before the download fails. */
const maxResumesWithoutProgress = 2;
/** How long an answer waits for the others of its batch, so that one revalidation serves all of them, ms. */
const longestBatchWait = 1000;

/** One accepted answer. */
interface Part {
  readonly offset: number;
  readonly length: number;
  readonly download: Download;
  readonly route: string;
  readonly proof: RevisionProof | undefined;
  readonly isYoung: boolean;
}

/** The validator (ETag or Last-Modified) that came with a revision. */
interface KnownValidator {
  /** '' if the answer had none. */
  readonly validator: string;
  /** Resolves when the validator is known to belong to the revision; rejects if it belongs to another one. */
  readonly proof: Promise<void>;
}

/** The parts of a download that differ between providers. */
export interface DownloadSource {
  readonly http: HttpClient;
  /** The request for a whole file; the reader adds the headers for ranges. */
  call(file: RemoteFile, options: CallOptions): Call | Promise<Call>;
  /** The file as it is now; undefined if it is gone. Called when the revision of an answer is in doubt. */
  current(file: RemoteFile, options: CallOptions): Promise<RemoteFile | undefined>;
}

export class RangeReader {
  readonly #source: DownloadSource;
  /** By revision: the validator of its first answer. A later answer with another one may be of another revision. */
  readonly #validators = lruOf<string, KnownValidator>(20_000);
  readonly #revalidations = new SingleFlight();
  /** By revision: requests of a batch whose answers have not begun. */
  readonly #opening = new Map<string, Set<Promise<void>>>();
  /** By revision: the revalidation that a batch shares, while it still waits for answers of the batch. */
  readonly #batches = new Map<string, Promise<void>>();

  readonly #watch: RevisionWatch;
  /** The last answer had no validator. Then we expect none for other files either. */
  #isSilent = false;

  constructor(source: DownloadSource) {
    this.#source = source;
    this.#watch = new RevisionWatch(source.http.clock, (file) => this.#requireUnchanged(file, 'the file'));
  }

  async read(file: RemoteFile, range: ByteRange, options: CallOptions): Promise<RangeBody> {
    const first = await this.#open(file, range, options, false);
    // If the answer is shorter than the range, `#body` requests the rest: announce the range's own length. If the server
    // ignored the range, the answer is the whole file.
    const length = first.offset === range.offset && first.length <= range.length ? range.length : first.length;
    const pieces = this.#body(file, first, length, options);
    const answer = { offset: first.offset, length, body: bytes(pieces) };
    return {
      ...answer,
      ...(options.pieces?.target !== undefined && { pieces }),
      ...(first.proof !== undefined && { proof: first.proof }),
      ...(first.isYoung && { isYoung: true as const }),
    };
  }

  async #open(file: RemoteFile, range: ByteRange, options: CallOptions, isResume: boolean): Promise<Part> {
    const { http } = this.#source;
    const question = isResume ? null : this.#askBeside(file, range, options);
    const plain = await this.#source.call(file, options);
    const call: Call = {
      ...plain,
      headers: {
        ...plain.headers,
        accept: '*/*',
        'accept-encoding': 'identity',
        range: `bytes=${range.offset}-${range.offset + range.length - 1}`,
      },
      accept: [416],
      isDownload: true,
      ...(options.pieces !== undefined && {
        pieces: { ...options.pieces, offset: range.offset, end: range.offset + range.length },
      }),
    };
    return await http.repeat(
      call,
      async (begin) => {
        const download = await this.#trackOpening(file, options, openDownload(http, call, begin, options));
        try {
          return await this.#accept(file, range, download, call.route, options, question, isResume);
        } catch (error) {
          download.discard();
          throw error;
        }
      },
      options,
    );
  }

  /**
   * Asks about the revision in parallel with the download, if the answer is likely to need that. Null if it needs no question, or one
   * that begins after the answer. A caller that reads several ranges at once needs one question for all of them, after their answers.
   */
  #askBeside(file: RemoteFile, range: ByteRange, options: CallOptions): Promise<void> | null {
    if (options.acceptsProof !== true || options.inBatch === true || options.isVerified === true) return null;
    const known = this.#validators.get(revisionKey(file))?.validator;
    const isSilent = known === undefined ? this.#isSilent : known === '';
    const isPart = range.length < file.size;
    if (!isSilent || !(isPart || known !== undefined || options.hasEarlierBytes === true)) return null;
    const question = this.#watch.recently(file);
    // The download may fail before anybody waits for the question.
    question.catch(() => undefined);
    return question;
  }

  /** `question`: of `#askBeside`. */
  async #accept(
    file: RemoteFile,
    range: ByteRange,
    download: Download,
    route: string,
    options: CallOptions,
    question: Promise<void> | null,
    isResume: boolean,
  ): Promise<Part> {
    const { status, headers } = download;
    const answer = readRangeAnswer(status, headers, file.size, range);
    if (answer.kind === 'changed') throw changed(route);
    if (answer.kind === 'wrong') throw protocolFailure(route, answer.why, { status });
    if (answer.kind === 'doubtful') {
      await this.#assertUnchanged(file, route, options);
      throw protocolFailure(route, answer.why, { status });
    }
    const key = revisionKey(file);
    const known = this.#validators.get(key);
    const validator = validatorOf(headers);
    // Without a checksum, a later revision in the first answer would go unnoticed: compare the times.
    const dated = Date.parse(header(headers, 'last-modified') ?? '');
    const signs: RevisionSigns = {
      validator,
      known: known?.validator,
      isPart: isResume || answer.offset !== 0 || answer.length !== file.size,
      isUnproven: answer.unproven,
      isMisdated: file.md5 === null && Math.abs(dated - file.modified) >= 1000,
      hasEarlierBytes: options.hasEarlierBytes === true,
      isVerified: options.isVerified === true,
    };
    const isDoubtful = isInDoubt(signs);
    let proof: RevisionProof | undefined;
    this.#isSilent = validator === undefined;
    const canWait = options.acceptsProof === true && options.inBatch !== true && !isResume;
    if (isDoubtful && canWait && mayBeProvenLater(signs)) {
      if (question !== null) await orAborted(question, options.signal);
      if (known === undefined) this.#rememberValidator(key, '', Promise.resolve());
      proof = this.#watch.proofOf(file);
    } else if (known === undefined) {
      // Other answers with this validator need no revalidation of their own: they wait for this one.
      const { inBatch } = options;
      const unchanged = isDoubtful ? this.#assertUnchanged(file, route, { inBatch }) : Promise.resolve();
      this.#rememberValidator(key, validator ?? '', unchanged);
      await orAborted(unchanged, options.signal);
    } else if (isDoubtful) {
      await this.#assertUnchanged(file, route, options);
      // The revision now has this validator.
      if (validator !== undefined) this.#rememberValidator(key, validator, Promise.resolve());
    } else if (validator !== undefined) {
      await orAborted(known.proof, options.signal);
    }
    const date = Date.parse(header(headers, 'date') ?? '');
    const young = isYoung(file, Number.isNaN(date) ? this.#source.http.clock.now() : date);
    return { offset: answer.offset, length: answer.length, download, route, proof, isYoung: young };
  }

  /** Remembers a revision's validator. If the proof fails, the validator is forgotten, and the next answer counts as the first. */
  #rememberValidator(key: string, validator: string, proof: Promise<void>): void {
    const known: KnownValidator = { validator, proof };
    this.#validators.set(key, known);
    proof.catch(() => {
      if (this.#validators.get(key) === known) this.#validators.delete(key);
    });
  }

  /**
   * Looks the file up, and throws `revision-changed` (or `not-found`) unless it still is this revision. The lookup begins
   * after this call, and so after the head of the answer that is in doubt has arrived.
   */
  #assertUnchanged(
    file: RemoteFile,
    route: string,
    { signal, inBatch }: Pick<CallOptions, 'signal' | 'inBatch'>,
  ): Promise<void> {
    const key = revisionKey(file);
    const look = (): Promise<void> => this.#requireUnchanged(file, route);
    if (inBatch !== true) return this.#revalidations.share(key, look, signal);
    let batch = this.#batches.get(key);
    if (batch === undefined) {
      batch = this.#batchOpened(key).then(() => {
        // Answers that arrive from now on may be newer than the lookup: they start the next batch.
        this.#batches.delete(key);
        return this.#revalidations.share(key, look);
      });
      this.#batches.set(key, batch);
    }
    return orAborted(batch, signal);
  }

  async #requireUnchanged(file: RemoteFile, route: string): Promise<void> {
    // Always in the foreground: an open download waits for it, and foreground callers may come to share it.
    const now = await this.#source.current(file, { holdsSlot: true });
    if (now === undefined || now.size !== file.size) throw changed(route);
    const same =
      file.md5 === null || now.md5 === null ? now.modified === file.modified : now.md5 === file.md5.toLowerCase();
    if (!same) throw changed(route);
  }

  /** Registers a request of a batch until its answer begins. */
  async #trackOpening<T>(file: RemoteFile, { inBatch }: CallOptions, answer: Promise<T>): Promise<T> {
    if (inBatch !== true) return await answer;
    const key = revisionKey(file);
    const opening = this.#opening.get(key) ?? new Set();
    this.#opening.set(key, opening);
    const settled = answer.then(
      () => undefined,
      () => undefined,
    );
    opening.add(settled);
    try {
      return await answer;
    } finally {
      opening.delete(settled);
      if (opening.size === 0 && this.#opening.get(key) === opening) this.#opening.delete(key);
    }
  }

  /** Resolves when the answers of all requests that are registered now have begun, or after `longestBatchWait`. */
  async #batchOpened(key: string): Promise<void> {
    const waiting = new AbortController();
    const timeout = this.#source.http.clock.sleep(longestBatchWait, waiting.signal).catch(() => undefined);
    await Promise.race([Promise.all(this.#opening.get(key) ?? []), timeout]);
    waiting.abort();
  }

  /** Yields `length` bytes: those of `first`, then those of further answers. */
  async *#body(file: RemoteFile, first: Part, length: number, options: CallOptions): AsyncGenerator<BodyChunk> {
    const end = first.offset + length;
    let at = first.offset;
    let resumesWithoutProgress = 0;
    let part = first;
    try {
      for (;;) {
        const before = at;
        const partEnd = part.offset + part.length;
        // A server that ignores ranges answers a resume with the whole file: skip the bytes that were yielded already.
        let skip = at - part.offset;
        let broken: ProviderError | undefined;
        try {
          for await (const chunk of part.download.chunks()) {
            if (isStored(chunk)) {
              if (chunk.offset !== at || at + chunk.byteLength > end) throw misplaced(part.route);
              at += chunk.byteLength;
              yield chunk;
              continue;
            }
            const fresh = skip === 0 ? chunk : chunk.subarray(Math.min(skip, chunk.byteLength));
            skip -= chunk.byteLength - fresh.byteLength;
            if (fresh.byteLength === 0) continue;
            if (at + fresh.byteLength > partEnd) throw tooLong(part.route);
            const wanted = fresh.byteLength <= end - at ? fresh : fresh.subarray(0, end - at);
            at += wanted.byteLength;
            yield wanted;
            if (at === end && partEnd > end) return;
          }
        } catch (thrown) {
          if (!(thrown instanceof TryFailure)) throw thrown;
          if (thrown.repeat === 'never') throw thrown.error;
          broken = thrown.error;
        }
        if (at >= end) return;
        broken ??= at < partEnd ? shortBody(part.route, at - first.offset, length) : undefined;
        resumesWithoutProgress = at > before ? 0 : resumesWithoutProgress + 1;
        if (resumesWithoutProgress > maxResumesWithoutProgress)
          throw broken ?? shortBody(part.route, at - first.offset, length);
        part = await this.#open(file, { offset: at, length: end - at }, options, true);
      }
    } finally {
      part.download.discard();
    }
  }
}

function changed(route: string): ProviderError {
  return new ProviderError('revision-changed', `${route}: the file was changed meanwhile`, { data: { route } });
}

function tooLong(route: string): ProviderError {
  return new ProviderError('protocol', `${route}: more bytes than announced`, { data: { route } });
}

async function* bytes(body: AsyncIterable<BodyChunk>): AsyncGenerator<BodyBytes> {
  for await (const chunk of body) yield bytesOf(chunk);
}

function misplaced(route: string): ProviderError {
  return new ProviderError('protocol', `${route}: a piece was stored where it does not belong`, { data: { route } });
}

function shortBody(route: string, got: number, wanted: number): ProviderError {
  return new ProviderError('integrity', `${route}: the body ended after ${got} of ${wanted} bytes`, {
    data: { route, got, wanted },
  });
}
