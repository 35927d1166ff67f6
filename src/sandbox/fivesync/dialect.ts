/** Handles a request as 5sync does: checks the key, then the rate, then performs it. */
import { type Answer, type Resource as AnyResource, Exchange } from '../http/exchange.js';
import type { Dialect } from '../http/listener.js';
import type { Clock } from './clock.js';
import { ApiError, badRequest, forbidden, internal, notFound, typeOf } from './errors.js';
import { type ApiKeys, keyOf, type RollingLimit } from './keys.js';
import type { FiveSyncSettings } from './options.js';

export interface Method {
  /** The documented parameters. Others are refused. */
  query: readonly string[];
  /** The call needs a key that may write. */
  writes: boolean;
  handle(exchange: Exchange): Answer | Promise<Answer>;
}

export type Resource = AnyResource<Method>;

export function dialect(
  keys: ApiKeys,
  limit: RollingLimit,
  settings: FiveSyncSettings,
  clock: Clock,
): Dialect<Method, Exchange> {
  return {
    base: '/v1',
    exchange: (...seen) => new Exchange(...seen),
    async perform(exchange, resource) {
      limit.take(keys.authenticate(exchange.request.headers.authorization));
      const method = resource?.methods[exchange.method];
      if (!method) throw notFound();
      if (method.writes && settings.keyPermission === 'read-only') throw forbidden();
      const seen = new Set<string>();
      for (const name of exchange.query.keys()) {
        if (!method.query.includes(name)) throw badRequest(`There is no parameter ${name}.`);
        if (seen.has(name)) throw badRequest(`${name} is given twice.`);
        seen.add(name);
      }
      return method.handle(exchange);
    },
    malformed: (_status, why) => badRequest(why),
    internal,
    fault: ({ code, status = 500, message = 'A fault of the plan.' }) =>
      new ApiError(code ?? typeOf(status), message, {}, code === undefined ? status : undefined),
    headers: ({ request }) => {
      const key = keyOf(request.headers.authorization);
      const known = key !== undefined && keys.keys.has(key) ? key : undefined;
      return { ...limit.headers(known), date: new Date(clock.time()).toUTCString() };
    },
  };
}
