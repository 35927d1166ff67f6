/** Helpers that define a resource's methods. */
import type { Answer } from '../../http/exchange.js';
import type { BodyKind, Call, Method } from '../call.js';

export type Handler = (exchange: Call) => Answer | Promise<Answer>;

/** A call on behalf of the user that answers JSON. */
export function call(handle: Handler, body: BodyKind = 'none'): Method {
  return { auth: 'user', body, json: true, handle };
}
