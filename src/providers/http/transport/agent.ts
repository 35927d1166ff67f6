/**
 * The part of undici that we use: kept-alive connections, a pool for each origin. undici's index also loads fetch, WebSocket,
 * caches and mocks, which costs every start 60 ms. Its version is exact in package.json, so these inner paths do not move.
 */
import request from 'undici/lib/api/api-request.js';
import InnerAgent from 'undici/lib/dispatcher/agent.js';

/** Sends requests. The types are those of undici's own `Agent`. */
export class Agent extends InnerAgent {
  override request = request;
}
