/** Short ways to write a resource's methods. */
import type { Answer, BodyKind, Exchange, Method } from '../http/exchange.js';

export type Handler = (exchange: Exchange) => Answer | Promise<Answer>;

/** A call on behalf of the user that answers JSON. */
export function call(handle: Handler, body: BodyKind = 'none'): Method {
  return { auth: 'user', body, json: true, handle };
}
