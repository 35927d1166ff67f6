/**
 * GET of file content. It follows redirects itself, because the Authorization header must not reach another host, and
 * yields the body as it arrives.
 */

import { isLoopback } from '../../../base/loopback.js';
import type { BodyChunk } from '../../content.js';
import { ProviderError } from '../../errors.js';
import { header } from '../answers/answer.js';
import { protocolFailure, TryFailure, toTryFailure } from '../answers/http-error.js';
import { readAnswer } from '../answers/read-answer.js';
import type { Call, CallOptions } from '../client/call.js';
import { type HttpClient, urlOf } from '../client/client.js';
import type { Begin } from '../client/retried-request.js';
import type { WireResponse } from '../transport/wire.js';

const redirects = new Set([301, 302, 303, 307, 308]);
const maxRedirects = 5;

/** An open download. The caller must use `chunks` or `discard`: they release its slot and its connection. */
export interface Download {
  readonly status: number;
  readonly headers: WireResponse['headers'];
  /** The body's bytes as they arrive. Throws `TryFailure`. */
  chunks(): AsyncGenerator<BodyChunk>;
  /** Closes the download without reading the body. */
  discard(): void;
}

/** The URL of a redirect if it may be followed: any https URL; plain http only from this machine to this machine. */
export function redirectTarget(from: URL, location: string | undefined): URL | undefined {
  if (location === undefined) return undefined;
  let to: URL;
  try {
    to = new URL(location, from);
  } catch {
    return undefined;
  }
  if (to.username !== '' || to.password !== '') return undefined;
  if (to.protocol === 'https:') return to;
  return to.protocol === 'http:' && isLoopback(to.hostname) && isLoopback(from.hostname) ? to : undefined;
}

/** One try of a download, up to the head of the answer. Statuses in `call.accept` are no errors. Rejects with `TryFailure`. */
export async function openDownload(
  http: HttpClient,
  call: Call,
  begin: Begin,
  options: CallOptions,
): Promise<Download> {
  const home = new URL(call.url).origin;
  let url = new URL(urlOf(call));
  for (let hops = 0; ; hops++) {
    const signed = call.unsigned !== true && url.origin === home;
    const release = await http.acquire(url.origin, call.route, options, signed, begin.turn);
    let response: WireResponse;
    try {
      response = await http.send(call, url, signed, begin(), options.signal);
    } catch (error) {
      release();
      throw error;
    }
    const { status, headers } = response;
    if ((status >= 200 && status < 300) || call.accept?.includes(status) === true)
      return openBody(response, release, call.route);

    try {
      const answer = await readAnswer(response, call.route);
      if (!redirects.has(status)) {
        const failure = http.failureOf(answer, call.route);
        // Another host knows neither our account nor our error codes. If its link does not work, or no longer works, ask our
        // own host for a new one.
        if (!signed && failure.repeat === 'never')
          throw protocolFailure(call.route, `the host it redirects to answered ${status}`, { status });
        throw failure;
      }
    } finally {
      release();
    }
    const target = redirectTarget(url, header(headers, 'location'));
    if (target === undefined || hops >= maxRedirects)
      throw protocolFailure(call.route, 'a redirect that must not be followed', { status });
    url = target;
  }
}

function openBody(response: WireResponse, release: () => void, route: string): Download {
  const { status, headers, body, watch } = response;
  let over = false;
  // The server is not late until the caller begins to read the body.
  watch.pause();
  const end = (): void => {
    if (over) return;
    over = true;
    watch.end();
    // If the body has ended, this does nothing; else it closes the connection.
    body.on('error', () => {}).destroy();
    release();
  };
  return {
    status,
    headers,
    discard: end,
    async *chunks() {
      try {
        watch.moved();
        for await (const chunk of body) {
          // Only waiting for the server counts towards the timeout, not the time that the consumer takes.
          watch.pause();
          yield chunk;
          watch.moved();
        }
      } catch (error) {
        throw error instanceof TryFailure || error instanceof ProviderError
          ? toTryFailure(error, route)
          : toTryFailure(watch.failure(error), route);
      } finally {
        end();
      }
    },
  };
}
