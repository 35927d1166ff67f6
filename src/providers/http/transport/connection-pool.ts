/** The connections for large answers: a limited number to each server, kept for the next request. */
import { Connection, type Received } from './connection.js';
import type { ExchangerOptions } from './exchanger.js';
import { TransportFailure } from './wire.js';

/** The connections to one server. */
interface Origin {
  readonly all: Set<Connection>;
  readonly idle: Connection[];
  /** Connections that are being made. */
  opening: number;
  readonly waiting: Set<() => void>;
  session: Buffer | undefined;
}

export class ConnectionPool {
  readonly #options: ExchangerOptions;
  readonly #origins = new Map<string, Origin>();
  #isClosed = false;

  constructor(options: ExchangerOptions) {
    this.#options = options;
  }

  /**
   * Sends a GET. `onWire`: a connection takes it now. Rejects with the error of the socket or of the parser, or with the
   * signal's reason.
   */
  async get(
    url: URL,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
    onWire: () => void,
  ): Promise<Received> {
    const origin = this.#originOf(url);
    for (;;) {
      signal.throwIfAborted();
      if (this.#isClosed) throw closed();
      const connection = usable(origin) ?? (await this.#open(url, origin, signal));
      if (connection !== undefined) {
        onWire();
        return await connection.get(url, headers, signal);
      }
      await this.#turn(origin, signal);
      // A caller that leaves passes its turn on.
      if (signal.aborted) wakeOne(origin);
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const { all, waiting } of this.#origins.values()) {
      for (const connection of all) connection.destroy(closed());
      for (const wake of waiting) wake();
    }
  }

  /** Undefined if the limit of connections is reached. */
  async #open(url: URL, origin: Origin, signal: AbortSignal): Promise<Connection | undefined> {
    if (origin.all.size + origin.opening >= this.#options.maxConnections) return undefined;
    origin.opening++;
    try {
      const connection = await Connection.connect(url, {
        timeoutMs: this.#options.connectTimeoutMs,
        signal,
        session: origin.session,
        onSession: (session) => {
          origin.session = session;
        },
        onClosed: (gone) => {
          origin.all.delete(gone);
          wakeOne(origin);
        },
        onIdle: (free) => {
          origin.idle.push(free);
          wakeOne(origin);
        },
      });
      if (this.#isClosed) {
        connection.destroy();
        throw closed();
      }
      origin.all.add(connection);
      return connection;
    } finally {
      origin.opening--;
      wakeOne(origin);
    }
  }

  /** Resolves when a connection may be available, or the signal aborts. */
  #turn(origin: Origin, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        origin.waiting.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      origin.waiting.add(wake);
      signal.addEventListener('abort', wake, { once: true });
    });
  }

  #originOf(url: URL): Origin {
    let origin = this.#origins.get(url.origin);
    if (origin === undefined) {
      origin = { all: new Set(), idle: [], opening: 0, waiting: new Set(), session: undefined };
      this.#origins.set(url.origin, origin);
    }
    return origin;
  }
}

function closed(): TransportFailure {
  return new TransportFailure('aborted', 'closed', undefined);
}

/** The connection that was used last: the server is most likely to have kept it. */
function usable(origin: Origin): Connection | undefined {
  for (;;) {
    const connection = origin.idle.pop();
    if (connection === undefined || connection.isUsable) return connection;
  }
}

function wakeOne(origin: Origin): void {
  const [first] = origin.waiting;
  first?.();
}
