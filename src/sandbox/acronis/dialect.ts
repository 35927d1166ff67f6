/** Handles a request as Acronis does: checks the token first, then performs it. */
import { type Answer, type Resource as AnyResource, Exchange } from '../http/exchange.js';
import type { Dialect } from '../http/listener.js';
import { ApiError, badMethod, internal, invalid, notFound } from './errors.js';
import type { AcronisReadings } from './options.js';
import type { AcronisTokens } from './tokens.js';

export interface Method {
  auth: 'bearer' | 'none';
  /** The documented parameters. Others are refused. */
  query: readonly string[] | 'any';
  handle(exchange: Exchange): Answer | Promise<Answer>;
}

export type Resource = AnyResource<Method>;

/** The document's error code for an injected fault with this status. */
const codes: Record<number, number> = { 400: 15, 403: 3, 404: 10, 409: 92 };

export function dialect(tokens: AcronisTokens, readings: AcronisReadings): Dialect<Method, Exchange> {
  return {
    base: '',
    exchange: (...seen) => new Exchange(...seen),
    async perform(exchange, resource) {
      const method = resource?.methods[exchange.method];
      if (method?.auth !== 'none') tokens.authenticate(exchange.request.headers.authorization);
      if (!resource) throw notFound();
      if (!method) throw badMethod(readings.unofferedMethod);
      if (method.query !== 'any') assertParameters(exchange, method.query);
      return method.handle(exchange);
    },
    malformed: (_status, why) => invalid(why),
    internal,
    fault: ({ code, status = 500, message = 'A fault of the plan.' }) =>
      new ApiError(status, Number(code ?? codes[status] ?? 1), message),
  };
}

function assertParameters({ query }: Exchange, names: readonly string[]): void {
  const seen = new Set<string>();
  for (const name of query.keys()) {
    if (!names.includes(name)) throw invalid(`there is no parameter ${name}`);
    if (seen.has(name)) throw invalid(`${name} is given twice`);
    seen.add(name);
  }
}
