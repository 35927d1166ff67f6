/** The fault plan: which requests go wrong, and how. */
import { setMaxListeners } from 'node:events';
import type { HostName } from './hosts.js';

export type FaultAction =
  /** An error answer. The request is performed only with `performed`. */
  | {
      kind: 'status';
      status?: number;
      code?: string;
      message?: string;
      retryAfter?: number | string;
      performed?: boolean;
    }
  /**
   * The connection is cut with RST. `before`: nothing is done. `middle`: in the request's body if it has one, else in the
   * answer's. `after`: the request is performed, and only its answer is lost.
   */
  | { kind: 'reset'; when: 'before' | 'middle' | 'after'; at?: number }
  /**
   * The server waits: before it performs the request (default), or before it answers. With `performed` it performs the
   * request even if the client has gone meanwhile, like a server with a queue.
   */
  | { kind: 'stall'; ms: number; when?: 'before' | 'after'; performed?: boolean }
  /** The answer's body ends early: connection closed, or with a matching Content-Length when `silent`. */
  | { kind: 'truncate'; at?: number; silent?: boolean }
  /** One byte of the answer's body, or of the request's body before it is stored, is flipped. */
  | { kind: 'corrupt'; at?: number; where?: 'answer' | 'request' }
  /** The answer's Content-Range is `shift` bytes too high. */
  | { kind: 'wrong-content-range'; shift?: number }
  | { kind: 'ignore-range' }
  /** A captive portal or an error page. */
  | { kind: 'html'; status?: number; performed?: boolean }
  /** This answer instead of the real one. */
  | { kind: 'answer'; json: unknown; status?: number }
  /** The answer's JSON lacks its second half. */
  | { kind: 'broken-json' }
  | { kind: 'empty'; status?: number; performed?: boolean }
  | { kind: 'redirect'; to: string; status?: number }
  /** The answer is sent slowly. By default a piece has the bytes of a twentieth of a second. */
  | { kind: 'slow'; bytesPerSecond: number; pieceBytes?: number };

export interface FaultRule {
  method?: string;
  host?: HostName;
  /** Regular expression over the templated route, such as `^GET /files/\{id\}/download$`. */
  route?: string;
  /** Regular expression over the path and query as the client sent them. */
  url?: string;
  /** Only the nth matching request, counted from 1. */
  nth?: number;
  /** Skips this many matching requests first. */
  after?: number;
  /** Probability, between 0 and 1. */
  probability?: number;
  /** The rule ends after this many faults. */
  times?: number;
  action: FaultAction;
}

export interface FaultTarget {
  method: string;
  host: HostName;
  route: string;
  url: string;
}

interface Armed {
  id: number;
  rule: FaultRule;
  route?: RegExp;
  url?: RegExp;
  seen: number;
  fired: number;
}

/** The current rules. The first rule that matches and fires decides. */
export class FaultPlan {
  #rules: Armed[] = [];
  #next = 1;
  #random: () => number;
  #cleared = manyWait();

  constructor(rules: readonly FaultRule[] = [], seed = 1) {
    this.#random = randomNumbers(seed);
    for (const rule of rules) this.add(rule);
  }

  /** Returns the rule's id. */
  add(rule: FaultRule): number {
    const armed: Armed = { id: this.#next++, rule, seen: 0, fired: 0 };
    if (rule.route !== undefined) armed.route = new RegExp(rule.route);
    if (rule.url !== undefined) armed.url = new RegExp(rule.url);
    this.#rules.push(armed);
    return armed.id;
  }

  /** Aborted when all rules are removed, so that their stalls end too. */
  get cleared(): AbortSignal {
    return this.#cleared.signal;
  }

  /** Removes one rule, or all. */
  clear(id?: number): void {
    if (id === undefined) {
      this.#cleared.abort();
      this.#cleared = manyWait();
    }
    this.#rules = id === undefined ? [] : this.#rules.filter((armed) => armed.id !== id);
  }

  list(): { id: number; rule: FaultRule; seen: number; fired: number }[] {
    return this.#rules.map(({ id, rule, seen, fired }) => ({ id, rule, seen, fired }));
  }

  /** How often this rule has fired; without an id, all rules together. */
  fired(id?: number): number {
    return this.#rules.reduce((sum, armed) => (id === undefined || armed.id === id ? sum + armed.fired : sum), 0);
  }

  /** Restarts the random numbers: the same seed gives the same faults. */
  seed(seed: number): void {
    this.#random = randomNumbers(seed);
  }

  choose(target: FaultTarget): FaultAction | undefined {
    for (const armed of this.#rules) {
      if (!this.#fires(armed, target)) continue;
      armed.fired += 1;
      return armed.rule.action;
    }
    return undefined;
  }

  #fires(armed: Armed, target: FaultTarget): boolean {
    const { rule } = armed;
    if (rule.method !== undefined && rule.method !== target.method) return false;
    if (rule.host !== undefined && rule.host !== target.host) return false;
    if (armed.route && !armed.route.test(target.route)) return false;
    if (armed.url && !armed.url.test(target.url)) return false;
    armed.seen += 1;
    if (rule.nth !== undefined && armed.seen !== rule.nth) return false;
    if (rule.after !== undefined && armed.seen <= rule.after) return false;
    if (rule.times !== undefined && armed.fired >= rule.times) return false;
    return rule.probability === undefined || this.#random() < rule.probability;
  }
}

/** Every stall listens to the signal. Node takes more than ten listeners for a leak, so the limit is lifted. */
function manyWait(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}

/** mulberry32: small, and the same on every machine. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
