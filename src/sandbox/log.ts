/** The log of requests and answers. Requests are the cost that tests and benchmarks count. */
import type { HostName } from './hosts.js';

export interface LogEntry {
  n: number;
  /** Milliseconds of the server's clock when the request's head had arrived. */
  time: number;
  host: HostName;
  method: string;
  path: string;
  /** The route in the documents' spelling, such as `GET /folder/{id}/files`. */
  route: string;
  /** Without the oauth parameters. */
  query: Record<string, string>;
  headers: Record<string, string>;
  /** 0 until the request is answered, or if the connection was cut. */
  status: number;
  bytesIn: number;
  /** Body bytes sent, without those that a broken connection lost. */
  bytesOut: number;
  /** The documented error code of a refusal. */
  code?: string;
  fault?: string;
  /** A violation by the client, such as sending credentials to the download host. */
  violation?: string;
}

export interface LogFilter {
  method?: string;
  host?: HostName;
  /** The exact templated route, or a pattern. */
  route?: string | RegExp;
  status?: number;
  /** Entries after this number only. */
  after?: number;
}

export interface LogTotals {
  total: number;
  byRoute: Record<string, number>;
  bytesIn: number;
  bytesOut: number;
}

const interesting = ['range', 'content-range', 'content-type', 'content-length', 'transfer-encoding', 'accept'];
/** Beyond this number the oldest entries are dropped. The counters keep counting. */
const mostEntries = 200_000;

export class RequestLog {
  #entries: LogEntry[] = [];
  #next = 1;
  #byRoute = new Map<string, number>();
  #total = 0;
  #droppedIn = 0;
  #droppedOut = 0;

  /** Begins an entry. The caller fills in the rest as things happen. */
  begin(seen: {
    time: number;
    host: HostName;
    method: string;
    path: string;
    route: string;
    query: URLSearchParams;
    headers: Record<string, string | string[] | undefined>;
  }): LogEntry {
    const headers: Record<string, string> = {};
    for (const name of interesting) {
      const value = seen.headers[name];
      if (typeof value === 'string') headers[name] = value;
    }
    const query: Record<string, string> = {};
    for (const [name, value] of seen.query) if (!name.startsWith('oauth_')) query[name] = value;
    const entry: LogEntry = { n: this.#next++, ...seen, query, headers, status: 0, bytesIn: 0, bytesOut: 0 };
    this.#entries.push(entry);
    if (this.#entries.length > mostEntries) {
      for (const old of this.#entries.splice(0, mostEntries / 2)) {
        this.#droppedIn += old.bytesIn;
        this.#droppedOut += old.bytesOut;
      }
    }
    this.#total += 1;
    this.#byRoute.set(entry.route, (this.#byRoute.get(entry.route) ?? 0) + 1);
    return entry;
  }

  entries(filter: LogFilter = {}): LogEntry[] {
    return this.#entries.filter((entry) => matches(entry, filter));
  }

  count(filter: LogFilter = {}): number {
    return this.entries(filter).length;
  }

  /** Everything since the last `clear`. */
  totals(): LogTotals {
    const sum = (field: 'bytesIn' | 'bytesOut') => this.#entries.reduce((bytes, entry) => bytes + entry[field], 0);
    return {
      total: this.#total,
      byRoute: Object.fromEntries([...this.#byRoute].sort(([a], [b]) => (a < b ? -1 : 1))),
      bytesIn: this.#droppedIn + sum('bytesIn'),
      bytesOut: this.#droppedOut + sum('bytesOut'),
    };
  }

  /** Forgets entries and counters. The numbering continues. */
  clear(): void {
    this.#entries = [];
    this.#byRoute.clear();
    this.#total = 0;
    this.#droppedIn = 0;
    this.#droppedOut = 0;
  }
}

function matches(entry: LogEntry, { method, host, route, status, after }: LogFilter): boolean {
  if (method !== undefined && entry.method !== method) return false;
  if (host !== undefined && entry.host !== host) return false;
  if (status !== undefined && entry.status !== status) return false;
  if (after !== undefined && entry.n <= after) return false;
  if (route === undefined) return true;
  return typeof route === 'string' ? entry.route === route : route.test(entry.route);
}
