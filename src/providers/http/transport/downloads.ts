/**
 * Receives large answers for a reader that uses their bytes at once. It has connections of its own (connection.ts): with undici a GiB
 * costs 2.5 s of CPU more, for a stream, its memory and a copy into its parser.
 */
import type { Received, TakeBytes } from './connection.js';
import { ConnectionPool } from './connection-pool.js';
import type { ExchangerOptions } from './exchanger.js';
import { Bandwidth } from './token-bucket.js';
import { Watch } from './transport.js';
import type { WireRequest } from './wire.js';

/** An answer whose body is not yet read. The caller reads or destroys it, and then calls `watch.end()`. */
export interface Download extends Received {
  readonly watch: Watch;
}

export class Downloads {
  readonly #pool: ConnectionPool;
  readonly #bandwidth: Bandwidth;

  constructor(options: ExchangerOptions, bandwidth = new Bandwidth()) {
    this.#pool = new ConnectionPool(options);
    this.#bandwidth = bandwidth;
  }

  /** Sends a GET. Rejects with `TransportFailure`, also when no byte has moved for `stallMs`. */
  async get(request: WireRequest, stallMs: number, signal?: AbortSignal): Promise<Download> {
    const watch = new Watch('GET', stallMs, signal);
    try {
      const received = await this.#pool.get(request.url, request.headers, watch.signal, watch.wire);
      watch.moved();
      const each = (take: TakeBytes): Promise<void> =>
        received.each((bytes) => {
          watch.moved();
          const taken = take(bytes);
          const turn = this.#turn(bytes.length, request.isDownload === true, watch);
          return taken === undefined || turn === undefined
            ? (taken ?? turn)
            : Promise.all([taken, turn]).then(() => {});
        });
      return { ...received, each, watch };
    } catch (error) {
      const failure = watch.failure(error);
      watch.end();
      throw failure;
    }
  }

  /** Aborts all requests and closes all connections. */
  close(): void {
    this.#pool.close();
  }

  /** Waits for a share of the bandwidth. The stall timer pauses, because the delay is ours and not the server's. */
  #turn(bytes: number, isContent: boolean, watch: Watch): Promise<void> | undefined {
    if (!isContent) {
      this.#bandwidth.count('down', bytes);
      return undefined;
    }
    const turn = this.#bandwidth.take('down', bytes, () => watch.signal);
    if (turn === undefined) return undefined;
    watch.pause();
    return turn.then(() => watch.moved());
  }
}
