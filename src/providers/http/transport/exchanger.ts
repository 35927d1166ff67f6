/** Sends HTTP requests: on the event loop (transport.ts), or beside it, by an implementation that the layers above pass in. */
import type { WireRequest, WireResponse } from './wire.js';

export interface ExchangerOptions {
  /** Connections per origin. */
  readonly maxConnections: number;
  readonly connectTimeoutMs: number;
}

export interface Exchanger {
  /**
   * Sends one request, and resolves with the head of the answer. The caller must read or destroy the body, and then call
   * `watch.end()`. Rejects with `TransportFailure`, also when no byte has moved for `stallMs`.
   */
  send(request: WireRequest, stallMs: number, signal?: AbortSignal): Promise<WireResponse>;
  /** Aborts all requests and closes all connections. */
  close(): Promise<void>;
}

/** Makes an `Exchanger` for requests with large bodies. */
export type MakeExchanger = (options: ExchangerOptions) => Exchanger;
