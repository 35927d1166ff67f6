/**
 * The "Common Responses" table of the 4shared and 4Sync documents (they differ in one row), with our error code for each
 * row. A test checks that every row of the documents is here.
 */
import type { ProviderErrorCode } from '../errors.js';
import type { ErrorMeaning, Repeat } from '../http/answers/http-error.js';
import { parseJsonObject, statusMeaning } from '../http/answers/status-meaning.js';

interface Row {
  readonly code: ProviderErrorCode;
  readonly repeat: Repeat;
}

function row(code: ProviderErrorCode, repeat: Repeat = 'never'): Row {
  return { code, repeat };
}

/** By the documents' `code`. If a 400 row concerns a parameter that is a name, `readError` makes it `invalid-name`. */
export const errorTable: Readonly<Record<string, Row>> = {
  '400': row('protocol'),
  '400.0212': row('protocol'),
  '400.0213': row('protocol'),
  '400.0215': row('protocol'),
  '400.0216': row('protocol'),
  '400.0217': row('protocol'),
  '400.0218': row('protocol'),
  '400.0219': row('protocol'),
  '400.0220': row('protocol'),
  '400.0303': row('permission'),
  '400.0500': row('protocol'),
  '401': row('auth'),
  '401.0300': row('auth'),
  '401.0301': row('auth'),
  '401.0316': row('auth'),
  // A new login does not renew a subscription.
  '401.0317': row('permission'),
  // The server checks the signature before it does anything, and we sign each try anew.
  '401.0318': row('auth', 'safely'),
  '401.0319': row('auth', 'safely'),
  '401.0600': row('server', 'uncertain'),
  '403': row('permission'),
  '403.0100': row('quota'),
  '403.0101': row('too-large'),
  '403.0102': row('limit'),
  '403.0103': row('limit'),
  '403.0104': row('limit'),
  '403.0105': row('limit'),
  '403.0200': row('permission'),
  '403.0201': row('exists'),
  '403.0206': row('too-large'),
  // In the trash: for the layers above, the object does not exist.
  '403.0223': row('not-found'),
  '403.0224': row('permission'),
  '403.0225': row('integrity'),
  '403.0228': row('invalid-name'),
  '403.0233': row('unsupported'),
  '403.0302': row('permission'),
  '403.0303': row('permission'),
  '403.0305': row('permission'),
  '403.0306': row('permission'),
  '403.0307': row('permission'),
  '403.0308': row('permission'),
  '403.0313': row('permission'),
  '403.0323': row('unsupported'),
  '403.0461': row('not-found'),
  '404': row('not-found'),
  '405': row('unsupported'),
  '405.0211': row('unsupported'),
  '406': row('protocol'),
  '406.0209': row('protocol'),
  '415': row('protocol'),
  '415.0210': row('protocol'),
  '429': row('rate-limited', 'safely'),
  '429.0107': row('rate-limited', 'safely'),
  '500': row('server', 'uncertain'),
  '500.0600': row('server', 'uncertain'),
  '501': row('unsupported'),
  '501.0601': row('unsupported'),
  '501.0602': row('server', 'uncertain'),
};

const nameFields = new Set(['name', 'fileName']);
const parameterProblems = new Set(['400', '400.0212', '400.0213', '400.0215', '400.0216', '400.0217']);

function rowOf(status: number, code: string): Row {
  return errorTable[code] ?? errorTable[String(status)] ?? statusMeaning(status);
}

/** The meaning of an error answer. The body may be the documents' JSON, HTML of some proxy, or empty. */
export function readError(status: number, text: string): ErrorMeaning {
  const body = parseJsonObject(text);
  const given = body?.code;
  const providerCode = typeof given === 'string' || typeof given === 'number' ? String(given) : undefined;
  const message = typeof body?.message === 'string' ? body.message : undefined;
  // Status and code must agree: if a proxy sends its 502 with an older body, that is a 502.
  const matching = providerCode !== undefined && Number.parseInt(providerCode, 10) === status ? providerCode : '';
  const found = rowOf(status, matching);
  const aboutName =
    parameterProblems.has(matching) &&
    (typeof body?.fieldName === 'string'
      ? nameFields.has(body.fieldName)
      : /\b(name|fileName)\b parameter/.test(message ?? ''));
  return {
    code: aboutName ? 'invalid-name' : found.code,
    repeat: found.repeat,
    providerCode,
    message,
    clockRefused: matching === '401.0319',
  };
}
