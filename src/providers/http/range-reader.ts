/**
 * Ranged downloads of one revision. A connection that breaks in the middle is taken up again where it broke, under the
 * same checks as the first answer.
 */
import { LRUCache } from 'lru-cache';
import { ProviderError } from '../errors.js';
import { type ByteRange, type RangeBody, type RemoteFile, revisionKey } from '../provider.js';
import { header } from './answer.js';
import type { Call, CallOptions, HttpClient } from './client.js';
import { type Download, openDownload } from './download.js';
import { protocolFailure, TryFailure } from './http-error.js';
import { readRangeAnswer } from './range-answer.js';

/** How often a body may break without a single new byte before it is given up. */
const fruitlessResumes = 2;

/** One accepted answer. */
interface Part {
  readonly offset: number;
  readonly length: number;
  readonly download: Download;
  readonly route: string;
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
  /**
   * What the server called each revision (ETag or Last-Modified) in its first answer, to notice when it calls it something
   * else; '' where it called it nothing.
   */
  readonly #validators = new LRUCache<string, string>({ max: 20_000 });
  /** Revisions that are being asked about before more of them joins what is here from earlier. */
  readonly #asking = new Map<string, Promise<void>>();

  constructor(source: DownloadSource) {
    this.#source = source;
  }

  async read(file: RemoteFile, range: ByteRange, options: CallOptions): Promise<RangeBody> {
    const first = await this.#open(file, range, options);
    // A shorter answer than asked for is completed by further ones, so the range's own length is the one to announce;
    // an ignored range brings the whole file.
    const length = first.offset === range.offset && first.length <= range.length ? range.length : first.length;
    return { offset: first.offset, length, body: this.#body(file, first, length, options) };
  }

  async #open(file: RemoteFile, range: ByteRange, options: CallOptions): Promise<Part> {
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
        const download = await openDownload(http, call, begin, options);
        try {
          return await this.#accept(file, range, download, call.route, options);
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
    const validator = header(headers, 'etag') ?? header(headers, 'last-modified');
    const first = this.#validators.get(key);
    const known = first === '' ? undefined : first;
    // A server that tells neither the file's size nor its version with a part of it: ask, rather than mix revisions.
    const blind = answer.unproven && (validator === undefined || known === undefined);
    // Where content has no checksum, the first answer of a revision must not be of a later one.
    const dated = Date.parse(header(headers, 'last-modified') ?? '');
    const misdated = file.md5 === null && known === undefined && Math.abs(dated - file.modified) >= 1000;
    // Another validator for equal content is possible (another server of theirs): ask before crying wolf.
    const contradicted = validator !== undefined && known !== undefined && validator !== known;
    if (blind || contradicted || misdated) await this.#assertUnchanged(file, route, options);
    else if (options.continues === true && first === undefined) await this.#assertContinued(file, route, options);
    this.#validators.set(key, validator ?? first ?? '');
    return { offset: answer.offset, length: answer.length, download, route };
  }

  /** As `#assertUnchanged`, once for all ranges that come first. */
  #assertContinued(file: RemoteFile, route: string, options: CallOptions): Promise<void> {
    const key = revisionKey(file);
    let asking = this.#asking.get(key);
    if (asking === undefined) {
      asking = this.#assertUnchanged(file, route, options).finally(() => this.#asking.delete(key));
      this.#asking.set(key, asking);
    }
    return asking;
  }

  /** Throws `revision-changed` (or `not-found`) unless the file still is the revision described. */
  async #assertUnchanged(file: RemoteFile, route: string, options: CallOptions): Promise<void> {
    const now = await this.#source.current(file, { ...options, placed: true });
    if (now === undefined || now.size !== file.size) throw changed(route);
    const same =
      file.md5 === null || now.md5 === null ? now.modified === file.modified : now.md5 === file.md5.toLowerCase();
    if (!same) throw changed(route);
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
        part = await this.#open(file, { offset: at, length: end - at }, options);
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
