/**
 * The part of undici that we use: kept-alive connections, one pool per origin. undici's index also loads fetch, WebSocket,
 * caches and mocks, which adds 60 ms to every start. package.json pins the exact version, so these inner paths stay valid.
 */

import { setFlagsFromString } from 'node:v8';
import request from 'undici/lib/api/api-request.js';
import InnerAgent from 'undici/lib/dispatcher/agent.js';

/**
 * How much WebAssembly a process runs before V8 compiles it a second time to optimize it, in bytes of code, roughly. undici parses HTTP
 * in WebAssembly. By default V8 optimizes the parser after the first few answers, which takes 0.2 s of CPU, a quarter of what a short
 * mount needs in all, and makes 6,000 requests no cheaper. With this budget only a process with many more of them pays for it.
 */
const TIERING_BUDGET = 1_000_000_000;

// For the whole process, before the first connection compiles the parser.
setFlagsFromString(`--wasm-tiering-budget=${TIERING_BUDGET}`);

/** Sends requests. The types are those of undici's own `Agent`. */
export class Agent extends InnerAgent {
  override request = request;
}
