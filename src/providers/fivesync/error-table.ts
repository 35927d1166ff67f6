/** The "Errors" table of the 5sync document, with our error code for each row. A test checks that every row is here. */
import type { ProviderErrorCode } from '../errors.js';
import type { ErrorMeaning, Repeat } from '../http/answers/http-error.js';
import { parseJsonObject, statusMeaning } from '../http/answers/status-meaning.js';

/** By the document's `type`. */
export const errorTable: Readonly<Record<string, { status: number; code: ProviderErrorCode; repeat: Repeat }>> = {
  bad_request: { status: 400, code: 'protocol', repeat: 'never' },
  unauthorized: { status: 401, code: 'auth', repeat: 'never' },
  forbidden: { status: 403, code: 'permission', repeat: 'never' },
  not_found: { status: 404, code: 'not-found', repeat: 'never' },
  rate_limit_exceeded: { status: 429, code: 'rate-limited', repeat: 'safely' },
  internal_error: { status: 500, code: 'server', repeat: 'uncertain' },
};

/** The meaning of an error answer. Type and status must agree: a proxy's 502 around an old body is a 502. */
export function readError(status: number, text: string): ErrorMeaning {
  const error = parseJsonObject(text)?.error;
  const fields = typeof error === 'object' && error !== null ? (error as Record<string, unknown>) : {};
  const type = typeof fields.type === 'string' ? fields.type : undefined;
  const message = typeof fields.message === 'string' ? fields.message : undefined;
  const row = type === undefined ? undefined : errorTable[type];
  const meaning =
    row?.status === status
      ? row
      : (Object.values(errorTable).find((r) => r.status === status) ?? statusMeaning(status));
  const wait = status === 429 ? /\bin (\d+(?:\.\d+)?) (second|minute)/i.exec(message ?? '') : null;
  return {
    code: meaning.code,
    repeat: meaning.repeat,
    providerCode: type,
    message,
    ...(wait === null ? {} : { retryAfterMs: Number(wait[1]) * (wait[2] === 'minute' ? 60_000 : 1000) }),
  };
}
