/** The errors that the Acronis document shows (`{error: {domain, code, message}}`), with our error code for each. */
import { ProviderError, type ProviderErrorCode } from '../errors.js';
import type { ErrorMeaning, Repeat } from '../http/answers/http-error.js';
import { parseJsonObject, statusMeaning } from '../http/answers/status-meaning.js';

interface Row {
  readonly code: ProviderErrorCode;
  readonly repeat: Repeat;
}

/** By status, or by status and the document's `code` in the domain `Files`. */
export const errorTable: Readonly<Record<string, Row>> = {
  // "Missing or invalid token". The HTTP client renews the token and tries again before this row counts.
  '401': { code: 'auth', repeat: 'never' },
  // "You do not have the appropriate permissions", and "The requested file or folder does not exist or you do not have
  // permission to access it". `Nodes.clarified` finds out which of the two, by a look at the parent folder.
  '403.3': { code: 'permission', repeat: 'never' },
  // "The file could not be uploaded because not all the data was received": nothing was stored.
  '400.9': { code: 'integrity', repeat: 'safely' },
  '404.10': { code: 'not-found', repeat: 'never' },
  // "Object Invalid": an impossible name or parent.
  '400.15': { code: 'invalid-name', repeat: 'never' },
  '409.92': { code: 'exists', repeat: 'never' },
};

/** The meaning of an error answer. The body may be the document's JSON, HTML of some proxy, or empty. */
export function readError(status: number, text: string): ErrorMeaning {
  const error = parseJsonObject(text)?.error;
  const fields = typeof error === 'object' && error !== null ? (error as Record<string, unknown>) : {};
  const code = typeof fields.code === 'number' || typeof fields.code === 'string' ? String(fields.code) : undefined;
  const message = typeof fields.message === 'string' ? fields.message : undefined;
  const row = errorTable[`${status}.${code}`] ?? errorTable[String(status)] ?? statusMeaning(status);
  return {
    code: row.code,
    repeat: row.repeat,
    providerCode: code === undefined ? undefined : `${status}.${code}`,
    message,
  };
}

/** Turns `invalid-name` into `protocol`, for a request without a name: there "Object Invalid" means something else. */
export function withoutName(error: unknown): unknown {
  if (!(error instanceof ProviderError) || error.code !== 'invalid-name') return error;
  return new ProviderError('protocol', error.message, { cause: error, data: { ...error.data } });
}
