/**
 * `POST /upload/{id}`: the content of a large file in chunks, several at once if the server takes them in any order.
 *
 * The documents do not say how the server answers a chunk that is not the last one, so we accept 308 and any 2xx. Nor do
 * they say whether chunks may come out of order. The status resource can report several ranges, so we send several at
 * once. If the server refuses that, we remember it for the account, and send one after the other from then on.
 */
import { z } from 'zod';
import { steadyTimeOf } from '../../base/clock.js';
import type { UploadSource } from '../content.js';
import { ProviderError } from '../errors.js';
import { type Answer, header } from '../http/answers/answer.js';
import { coveredBytes, mergeSpans, missingSpans, parseRangeList, type Span } from '../http/answers/content-range.js';
import { protocolFailure } from '../http/answers/http-error.js';
import type { CallOptions } from '../http/client/call.js';
import { contentOf } from '../http/transport/content.js';
import type { FourSharedApi } from './api.js';
import { additionalParallel, type ChunkPolicy, planChunks } from './chunk-plan.js';
import { isHidden } from './entities.js';
import { orGone } from './find.js';

/** Facts about the server that we have learned. They are kept while the provider lives. */
export interface ServerQuirks {
  /** False once the server has refused a chunk that was not the next one in order. */
  anyOrder: boolean;
  statusPath: '/upload/{id}/status' | '/upload/{id}';
}

export interface UploadStatus {
  readonly complete: boolean;
  readonly stored: Span[];
}

export interface ChunkSession {
  readonly uploadId: string;
  readonly source: UploadSource;
  readonly policy: ChunkPolicy;
  readonly options: CallOptions;
  /** Awaited after each accepted chunk. */
  onStored(stored: readonly Span[], bytes: number): Promise<void>;
}

/** Errors about this chunk and not about the account. They may mean "not in this order". */
const refusals = new Set(['protocol', 'integrity', 'exists', 'unsupported', 'too-large', 'server', 'not-found']);
/** Rounds in a row without a new stored byte, after which we give up. */
const maxRoundsWithoutProgress = 3;

export class ChunkSender {
  readonly #api: FourSharedApi;
  readonly quirks: ServerQuirks = { anyOrder: true, statusPath: '/upload/{id}/status' };

  constructor(api: FourSharedApi) {
    this.#api = api;
  }

  /** Sends the bytes that `stored` lacks. Resolves when the server says that it has everything. */
  async send(session: ChunkSession, stored: readonly Span[]): Promise<void> {
    const { source, policy } = session;
    let have = mergeSpans(stored);
    let roundsWithoutProgress = 0;
    let resentLastChunk = false;
    for (;;) {
      if (coveredBytes(have, source.size) === source.size) {
        if (await this.#settled(session)) return;
        // Every chunk is stored, but there is no file: send the last chunk again, for a server that needs it to finish.
        if (resentLastChunk) throw neverDone('every chunk is stored, but the upload is not complete');
        resentLastChunk = true;
        have = [{ start: 0, end: Math.max(0, source.size - policy.chunkBytes) }];
      }
      const before = coveredBytes(have, source.size);
      const chunks = planChunks(missingSpans(have, source.size), policy);
      const parallel = this.quirks.anyOrder ? policy.parallel : 1;
      const round = await this.#round(session, have, chunks, parallel);
      // Some servers may answer 201 to every chunk. So it counts only if no chunk was refused.
      if (round.complete && round.refused === undefined) return;
      const misordered = round.refused !== undefined && round.refused.code !== 'not-found' && parallel > 1;
      if (misordered) this.quirks.anyOrder = false;
      const status = await this.status(session.uploadId, session.options);
      if (status === undefined)
        throw round.refused ?? new ProviderError('not-found', 'the upload is gone', { data: {} });
      if (status.complete) return;
      have = status.stored;
      roundsWithoutProgress = misordered || coveredBytes(have, source.size) > before ? 0 : roundsWithoutProgress + 1;
      if (roundsWithoutProgress >= maxRoundsWithoutProgress)
        throw round.refused ?? neverDone('accepted chunks are not stored');
    }
  }

  /** Waits until the server has assembled the chunks, which may be gigabytes. Resolves with false if it does not finish. */
  async #settled({ uploadId, options }: ChunkSession): Promise<boolean> {
    const { http } = this.#api;
    const time = steadyTimeOf(http.clock);
    const until = time.now() + http.deadlineMs / 2;
    for (let wait = 100; time.now() + wait < until; wait = Math.min(wait * 2, 2000)) {
      await http.sleep(wait, 'GET /upload/{id}/status', options);
      const status = await this.status(uploadId, options);
      if (status === undefined) return false;
      if (status.complete) return true;
    }
    return false;
  }

  /** One pass over `chunks`: `parallel` at once, more on a fast line. Resolves with a refused chunk, throws other errors. */
  async #round(
    session: ChunkSession,
    have: readonly Span[],
    chunks: readonly Span[],
    parallel: number,
  ): Promise<{ complete: boolean; refused?: ProviderError }> {
    const stop = new AbortController();
    const outer = session.options.signal;
    const options = {
      ...session.options,
      signal: outer === undefined ? stop.signal : AbortSignal.any([outer, stop.signal]),
    };
    const { source, policy } = session;
    const time = steadyTimeOf(this.#api.http.clock);
    let stored = mergeSpans(have);
    let complete = false;
    let refused: ProviderError | undefined;
    let fatal: unknown;
    let next = 0;
    // Checkpoints are written one at a time, each with everything stored so far.
    let checkpointWrites: Promise<void> = Promise.resolve();

    const workers: Promise<void>[] = [];
    const worker = async (): Promise<void> => {
      for (;;) {
        const chunk = chunks[next++];
        if (chunk === undefined || refused !== undefined || fatal !== undefined) return;
        const startedAt = time.now();
        try {
          const done = await this.#chunk(session, chunk, options);
          const more = additionalParallel(policy, workers.length, chunk.end - chunk.start, time.now() - startedAt);
          for (let added = 0; added < more && next < chunks.length; added++) workers.push(worker());
          complete ||= done;
          stored = mergeSpans([...stored, chunk]);
          checkpointWrites = checkpointWrites.then(() => session.onStored(stored, coveredBytes(stored, source.size)));
          await checkpointWrites;
        } catch (error) {
          // The first missing chunk cannot be out of order. If the server fails on it, another order does not help.
          const isOrderless = error instanceof ProviderError && error.code === 'server' && chunk === chunks[0];
          if (error instanceof ProviderError && refusals.has(error.code) && !isOrderless) refused ??= error;
          else {
            fatal ??= error;
            stop.abort();
          }
          return;
        }
      }
    };
    while (workers.length < Math.min(parallel, chunks.length)) workers.push(worker());
    // `workers` grows while we wait.
    for (const one of workers) await one;
    if (fatal !== undefined) throw fatal;
    return { complete, refused };
  }

  /** Resolves with true when the server says that the file is complete. */
  async #chunk(session: ChunkSession, chunk: Span, options: CallOptions): Promise<boolean> {
    const { source, uploadId } = session;
    const bytes = chunk.end - chunk.start;
    const call = this.#api.call('POST', 'upload', '/upload/{id}', uploadId, {
      headers: { 'content-range': `bytes ${chunk.start}-${chunk.end - 1}/${source.size}` },
      content: contentOf(source, {}, chunk.start, bytes),
      accept: [308],
    });
    const lookup = async (lookupOptions: CallOptions): Promise<boolean | undefined> => {
      const status = await this.status(uploadId, lookupOptions);
      if (status?.complete === true) return true;
      const isStored = status?.stored.some((span) => span.start <= chunk.start && span.end >= chunk.end);
      return isStored === true ? false : undefined;
    };
    return await this.#api.http.request(call, { decode: ({ status }) => status === 201, lookup }, options);
  }

  /** What the server has stored. Undefined if it does not know the upload. */
  async status(uploadId: string, options: CallOptions): Promise<UploadStatus | undefined> {
    const first = this.quirks.statusPath;
    try {
      return await this.#status(first, uploadId, options);
    } catch (error) {
      const refusedRoute = error instanceof ProviderError && (error.data.status === 404 || error.data.status === 405);
      if (!refusedRoute) throw error;
    }
    // "GET /upload/{id}" is the heading of what the documents then call /upload/{id}/status.
    const second = first === '/upload/{id}' ? '/upload/{id}/status' : '/upload/{id}';
    try {
      const status = await this.#status(second, uploadId, options);
      this.quirks.statusPath = second;
      return status;
    } catch (error) {
      if (error instanceof ProviderError && (error.data.status === 404 || error.data.status === 405))
        return await this.#finished(uploadId, options);
      throw error;
    }
  }

  async #status(path: ServerQuirks['statusPath'], uploadId: string, options: CallOptions): Promise<UploadStatus> {
    const call = this.#api.call('GET', 'upload', path, uploadId, { accept: [308] });
    return await this.#api.http.request(call, { decode: (answer) => readStatus(answer, call.route) }, options);
  }

  /** Looks for the finished file: a server may forget an upload as soon as it has become a file. */
  async #finished(uploadId: string, options: CallOptions): Promise<UploadStatus | undefined> {
    const file = await orGone(this.#api.file(uploadId, options));
    return file === undefined || isHidden(file.status) ? undefined : { complete: true, stored: [] };
  }
}

function neverDone(what: string): ProviderError {
  const route = 'POST /upload/{id}';
  return new ProviderError('protocol', `${route}: ${what}`, { data: { route } });
}

const bodyStatusSchema = z.object({ status: z.string().nullish() });

/** Reads the status: 308 with the stored ranges, or 201 if everything is stored. For 200 the headers and body decide. */
export function readStatus(answer: Answer, route: string): UploadStatus {
  const ranges = answer.headers.range;
  const stored = parseRangeList(ranges);
  if (answer.status === 308) return { complete: false, stored };
  if (answer.status === 201) return { complete: true, stored };
  if (header(answer.headers, 'range') !== undefined) return { complete: false, stored };
  let body: unknown;
  try {
    body = answer.text === '' ? {} : JSON.parse(answer.text);
  } catch {
    throw protocolFailure(route, 'an answer that is not JSON', { status: answer.status });
  }
  const file = bodyStatusSchema.safeParse(body);
  return { complete: !(file.success && isHidden(file.data.status)), stored };
}
