/**
 * The part of undici that we use: kept-alive connections, one pool per origin. undici's index also loads fetch, WebSocket,
 * caches and mocks, which adds 60 ms to every start. package.json pins the exact version, so these inner paths stay valid.
 */

import { setFlagsFromString } from 'node:v8';
import type { Dispatcher } from 'undici';
import request from 'undici/lib/api/api-request.js';
import { kParser, kSocket } from 'undici/lib/core/symbols.js';
import InnerAgent from 'undici/lib/dispatcher/agent.js';

/**
 * How much WebAssembly a process runs before V8 compiles it a second time to optimize it, in bytes of code, roughly. undici parses HTTP
 * in WebAssembly. By default V8 optimizes the parser after the first few answers, which takes 0.2 s of CPU, a quarter of what a short
 * mount needs in all, and makes 6,000 requests no cheaper. With this budget only a process with many more of them pays for it.
 */
const TIERING_BUDGET = 1_000_000_000;

// For the whole process, before the first connection compiles the parser.
setFlagsFromString(`--wasm-tiering-budget=${TIERING_BUDGET}`);

/** The part of undici's parser that we change, and the way to it. */
interface Parser {
  onHeadersComplete(status: number, isUpgrade: boolean, isKept: boolean): number;
}
interface Client {
  readonly [kSocket]: { readonly [kParser]: Parser } | null;
}

const patched = new WeakSet<object>();

/**
 * A server may send `100 Continue` unasked (RFC 9110, 15.2), and undici would close the connection: the answer would be lost, and with it
 * every upload. It skips the other interim answers, so this one is shown to it as one of those.
 */
function skipContinue(client: Client | undefined): void {
  const parser = client?.[kSocket]?.[kParser];
  if (parser === undefined) return;
  const shared = Object.getPrototypeOf(parser) as Parser;
  if (patched.has(shared)) return;
  patched.add(shared);
  const { onHeadersComplete } = shared;
  shared.onHeadersComplete = function (this: Parser, status, isUpgrade, isKept) {
    return onHeadersComplete.call(this, status === 100 ? 102 : status, isUpgrade, isKept);
  };
}

/** `onWire` is called when a connection takes the request. Before that nothing of it has left this machine. */
export type AgentRequest = Dispatcher.RequestOptions & { readonly origin: string; readonly onWire: () => void };

/** Sends requests. The types are those of undici's own `Agent`. */
export class Agent extends InnerAgent {
  override request = request;

  constructor(...options: ConstructorParameters<typeof InnerAgent>) {
    super(...options);
    // Emitted for every new connection, before its first answer is read.
    this.on('connect', (_origin, targets) => skipContinue(targets.at(-1) as unknown as Client));
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const { onWire } = options as unknown as Partial<AgentRequest>;
    // api-request.js listens to it: a connection takes the request.
    const onConnect = handler.onConnect?.bind(handler);
    handler.onConnect = (abort) => {
      onWire?.();
      onConnect?.(abort);
    };
    return super.dispatch(options, handler);
  }
}
