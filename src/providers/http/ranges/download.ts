/**
 * GET of file content: follows redirects by hand, because the Authorization header must not reach another host, and
 * hands the body on as it arrives.
 */
import { ProviderError } from '../../errors.js';
import { header } from '../answers/answer.js';
import { protocolFailure, TryFailure, toTryFailure } from '../answers/http-error.js';
import { readAnswer } from '../answers/read-answer.js';
import { type Begin, type Call, type CallOptions, type HttpClient, urlOf } from '../client/client.js';
import { isLoopback } from '../client/endpoint.js';
import type { WireResponse } from '../transport/transport.js';

const redirects = new Set([301, 302, 303, 307, 308]);
const maxRedirects = 5;

/** An open download. `chunks` or `discard` must be used, else its place and its connection stay taken. */
export interface Download {
  readonly status: number;
  readonly headers: WireResponse['headers'];
  /** The body's bytes as they come. Throws `TryFailure`. */
  chunks(): AsyncGenerator<Uint8Array>;
  /** Gives the body up. */
  discard(): void;
}

/** Where a redirect may lead: anywhere over https; plain http only from this machine to this machine. */
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

/** One try of a download, up to the head of its answer. Statuses in `call.accept` are answers. Rejects with `TryFailure`. */
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
    const leave = await http.enter(url.origin, call.route, options, signed);
    let response: WireResponse;
    try {
      response = await http.send(call, url, signed, begin(), options.signal);
    } catch (error) {
      leave();
      throw error;
    }
    const { status, headers } = response;
    if ((status >= 200 && status < 300) || call.accept?.includes(status) === true)
      return openBody(response, leave, call.route);

    try {
      const answer = await readAnswer(response, call.route);
      if (!redirects.has(status)) {
        const failure = http.failureOf(answer, call.route);
        // Another host knows neither our account nor our error codes: a link of its that does not work (any more) is
        // asked for again at home.
        if (!signed && failure.repeat === 'never')
          throw protocolFailure(call.route, `the host it redirects to answered ${status}`, { status });
        throw failure;
      }
    } finally {
      leave();
    }
    const target = redirectTarget(url, header(headers, 'location'));
    if (target === undefined || hops >= maxRedirects)
      throw protocolFailure(call.route, 'a redirect that must not be followed', { status });
    url = target;
  }
}

function openBody(response: WireResponse, leave: () => void, route: string): Download {
  const { status, headers, body, watch } = response;
  let over = false;
  // Until somebody wants the body, the delay is ours.
  watch.pause();
  const end = (): void => {
    if (over) return;
    over = true;
    watch.end();
    // Destroying an ended body does nothing; one under way closes its connection.
    body.on('error', () => {}).destroy();
    leave();
  };
  return {
    status,
    headers,
    discard: end,
    async *chunks() {
      try {
        watch.moved();
        for await (const chunk of body) {
          // A consumer may take its time: only waiting for the server counts as standing still.
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
