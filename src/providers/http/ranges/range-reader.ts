/**
 * Ranged downloads of one revision. A connection that breaks in the middle is taken up again where it broke, under the
 * same checks as the first answer.
 */
import { LRUCache } from 'lru-cache';
import { ProviderError } from '../../errors.js';
import { orAborted } from '../../or-aborted.js';
import { type ByteRange, type RangeBody, type RemoteFile, revisionKey } from '../../provider.js';
import { header } from '../answers/answer.js';
import { protocolFailure, TryFailure } from '../answers/http-error.js';
import type { Call, CallOptions, HttpClient } from '../client/client.js';
import { type Download, openDownload } from './download.js';
import { readRangeAnswer } from './range-answer.js';
import { isInDoubt, validatorOf } from './revision-doubt.js';
import { SingleFlight } from './single-flight.js';

/** How often a body may break without a single new byte before it is given up. */
const fruitlessResumes = 2;
/** So long answers wait for those that were asked for together with them, so that one question does for all, ms. */
const longestGathering = 1000;

/** One accepted answer. */
interface Part {
  readonly offset: number;
  readonly length: number;
  readonly download: Download;
  readonly route: string;
}

/** What the server calls a revision, '' where it does not say. */
interface Claim {
  readonly validator: string;
  /** Resolves when this is known to be the name of that revision; rejects where it is of another. */
  readonly proof: Promise<void>;
}

/** What differs between providers. */
export interface DownloadSource {
  readonly http: HttpClient;
  /** The request for a whole file; the reader adds what concerns ranges. */
  call(file: RemoteFile, options: CallOptions): Call | Promise<Call>;
  /** The file as it is now; undefined when it is gone. Asked when an answer leaves its revision in doubt. */
  current(file: RemoteFile, options: CallOptions): Promise<RemoteFile | undefined>;
}

export class RangeReader {
  readonly #source: DownloadSource;
  /** By the first answer of each revision, to notice when the server calls it something else. */
  readonly #nameLocks = new LRUCache<string, Claim>({ max: 20_000 });
  readonly #revalidations = new SingleFlight();
  /** Answers that have not begun, of ranges that are asked for together: by revision. */
  readonly #coming = new Map<string, Set<Promise<void>>>();
  /** Questions that are not put yet, for those whose answers have begun by then. */
  readonly #gathering = new Map<string, Promise<void>>();

  constructor(source: DownloadSource) {
    this.#source = source;
  }

  async read(file: RemoteFile, range: ByteRange, options: CallOptions): Promise<RangeBody> {
    const first = await this.#open(file, range, options, false);
    // A shorter answer than asked for is completed by further ones, so the range's own length is the one to announce;
    // an ignored range brings the whole file.
    const length = first.offset === range.offset && first.length <= range.length ? range.length : first.length;
    return { offset: first.offset, length, body: this.#body(file, first, length, options) };
  }

  async #open(file: RemoteFile, range: ByteRange, options: CallOptions, isResume: boolean): Promise<Part> {
    const { http } = this.#source;
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
    };
    return await http.repeat(
      call,
      async (begin) => {
        const download = await this.#expected(file, options, openDownload(http, call, begin, options));
        try {
          return await this.#accept(file, range, download, call.route, options, isResume);
        } catch (error) {
          download.discard();
          throw error;
        }
      },
      options,
    );
  }

  async #accept(
    file: RemoteFile,
    range: ByteRange,
    download: Download,
    route: string,
    options: CallOptions,
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
    const claim = this.#nameLocks.get(key);
    const validator = validatorOf(headers);
    // Where content has no checksum, the first answer of a revision must not be of a later one.
    const dated = Date.parse(header(headers, 'last-modified') ?? '');
    const isDoubtful = isInDoubt({
      validator,
      known: claim?.validator,
      isPart: isResume || answer.offset !== 0 || answer.length !== file.size,
      isUnproven: answer.unproven,
      isMisdated: file.md5 === null && Math.abs(dated - file.modified) >= 1000,
      continues: options.continues === true,
      isCompared: options.compared === true,
    });
    if (claim === undefined) {
      // From here on others that are called the same need not ask: they wait for this one's answer.
      const { together } = options;
      const proof = isDoubtful ? this.#assertUnchanged(file, route, { together }) : Promise.resolve();
      this.#claim(key, validator ?? '', proof);
      await orAborted(proof, options.signal);
    } else if (isDoubtful) {
      await this.#assertUnchanged(file, route, options);
      // It is called so by now.
      if (validator !== undefined) this.#claim(key, validator, Promise.resolve());
    } else if (validator !== undefined) {
      await orAborted(claim.proof, options.signal);
    }
    return { offset: answer.offset, length: answer.length, download, route };
  }

  /** Where the proof fails, the next answer is a first one again. */
  #claim(key: string, validator: string, proof: Promise<void>): void {
    const claim: Claim = { validator, proof };
    this.#nameLocks.set(key, claim);
    proof.catch(() => {
      if (this.#nameLocks.get(key) === claim) this.#nameLocks.delete(key);
    });
  }

  /**
   * Throws `revision-changed` (or `not-found`) unless the file still is the revision described, when asked after this call:
   * after the head of the answer that is in doubt has come.
   */
  #assertUnchanged(
    file: RemoteFile,
    route: string,
    { signal, together }: Pick<CallOptions, 'signal' | 'together'>,
  ): Promise<void> {
    const key = revisionKey(file);
    const look = async (): Promise<void> => {
      // In the foreground, whoever began it: an open download waits for it, and others may come to share it.
      const now = await this.#source.current(file, { placed: true });
      if (now === undefined || now.size !== file.size) throw changed(route);
      const same =
        file.md5 === null || now.md5 === null ? now.modified === file.modified : now.md5 === file.md5.toLowerCase();
      if (!same) throw changed(route);
    };
    if (together !== true) return this.#revalidations.share(key, look, signal);
    let gathering = this.#gathering.get(key);
    if (gathering === undefined) {
      gathering = this.#gathered(key).then(() => {
        // Whoever comes from now on may have been answered later.
        this.#gathering.delete(key);
        return this.#revalidations.share(key, look);
      });
      this.#gathering.set(key, gathering);
    }
    return orAborted(gathering, signal);
  }

  /** Notes that an answer is on its way, until it begins. */
  async #expected<T>(file: RemoteFile, { together }: CallOptions, opening: Promise<T>): Promise<T> {
    if (together !== true) return await opening;
    const key = revisionKey(file);
    const coming = this.#coming.get(key) ?? new Set();
    this.#coming.set(key, coming);
    const begun = opening.then(
      () => undefined,
      () => undefined,
    );
    coming.add(begun);
    try {
      return await opening;
    } finally {
      coming.delete(begun);
      if (coming.size === 0 && this.#coming.get(key) === coming) this.#coming.delete(key);
    }
  }

  /** Resolves when all answers that are on their way now have begun, or have been waited for. */
  async #gathered(key: string): Promise<void> {
    const waiting = new AbortController();
    const patience = this.#source.http.clock.sleep(longestGathering, waiting.signal).catch(() => undefined);
    await Promise.race([Promise.all(this.#coming.get(key) ?? []), patience]);
    waiting.abort();
  }

  /** The bytes of `first`, and as many more as `length` asks for. */
  async *#body(file: RemoteFile, first: Part, length: number, options: CallOptions): AsyncGenerator<Uint8Array> {
    const end = first.offset + length;
    let at = first.offset;
    let fruitless = 0;
    let part = first;
    try {
      for (;;) {
        const before = at;
        const partEnd = part.offset + part.length;
        // An answer to a resume may be the whole file again, from a server that ignores ranges.
        let skip = at - part.offset;
        let broken: ProviderError | undefined;
        try {
          for await (const chunk of part.download.chunks()) {
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
        fruitless = at > before ? 0 : fruitless + 1;
        if (fruitless > fruitlessResumes) throw broken ?? shortBody(part.route, at - first.offset, length);
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

function shortBody(route: string, got: number, wanted: number): ProviderError {
  return new ProviderError('integrity', `${route}: the body ended after ${got} of ${wanted} bytes`, {
    data: { route, got, wanted },
  });
}
