/**
 * The part of undici that we use: kept-alive connections, one pool per origin. undici's index also loads fetch, WebSocket,
 * caches and mocks, which adds 60 ms to every start. package.json pins the exact version, so these inner paths stay valid.
 */
import request from 'undici/lib/api/api-request.js';
import InnerAgent from 'undici/lib/dispatcher/agent.js';

/** Sends requests. The types are those of undici's own `Agent`. */
export class Agent extends InnerAgent {
  override request = request;
}
