/** Handles a request as this protocol does: format, body, signature, rate. Formats its errors. */
import type { IncomingMessage } from 'node:http';
import type { Dialect } from '../http/listener.js';
import { Call, type Method } from './call.js';
import * as refuse from './errors.js';
import { ApiError } from './errors.js';
import type { OAuthGuard } from './oauth/guard.js';
import type { RateLimiter } from './rate-limiter.js';

const base = '/v1_2';

export function dialect(guard: OAuthGuard, limiter: RateLimiter): Dialect<Method, Call> {
  return {
    base,
    rewriteUrl: withoutExtension,
    exchange: (...seen) => new Call(...seen),
    async perform(call, resource) {
      if (!resource) throw refuse.notFound();
      const method = resource.methods[call.method];
      if (!method) throw refuse.badMethod(call.method, Object.keys(resource.methods));
      assertFormat(call, method);
      // A form is read before the signature is verified, because it is signed too. A file is read only from a known client.
      await call.readBody(method.body);
      call.oauth = guard.verify(
        {
          method: call.method,
          scheme: 'encrypted' in call.request.socket ? 'https' : 'http',
          authority: call.request.headers.host ?? '',
          path: call.path,
          query: call.query,
          form: call.formSigned ? call.form : undefined,
          authorization: call.request.headers.authorization,
        },
        method.auth,
      );
      if (method.auth === 'user') limiter.take();
      return method.handle(call);
    },
    malformed: (status, why) => (status === 415 ? refuse.badMediaType([]) : refuse.malformed(null, why)),
    internal: refuse.internal,
    fault({ code, status, message = 'A fault of the plan.' }) {
      return new ApiError(code ?? String(status ?? 500), message, null, null, {}, status);
    },
  };
}

/** The sandbox offers JSON only. It refuses the documents' XML like an unsupported format. */
function assertFormat({ path, request }: Call, { json }: Method): void {
  if (!json) return;
  if (path.endsWith('.xml')) throw refuse.badFormat();
  const { accept } = request.headers;
  if (accept === undefined || accept === '') return;
  const types = accept.split(',').map((type) => type.split(';', 1)[0]?.trim().toLowerCase());
  if (!types.some((type) => type === '*/*' || type === 'application/*' || type === 'application/json'))
    throw refuse.badFormat();
}

/** "You may also specify the desired format by appending .xml or .json extensions in the resource URI." */
function withoutExtension(request: IncomingMessage): string {
  const url = request.url ?? '/';
  return url.startsWith(base) ? url.replace(/\.(?:json|xml)(?=\?|$)/, '') : url;
}
