/** Answers of a server, read to their end. */
import type { z } from 'zod';
import type { WireResponse } from '../transport/wire.js';
import { protocolFailure } from './http-error.js';
import { parseJson } from './parse-json.js';

/** An answer read to its end. */
export interface Answer {
  readonly status: number;
  readonly headers: WireResponse['headers'];
  readonly text: string;
  /** The Authorization header that was sent. */
  readonly authorization?: string;
}

export function header(headers: WireResponse['headers'], name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' ? value : value?.[0];
}

/** Parses the answer's JSON and checks it with `schema`. HTML, an empty body and broken JSON are `protocol` failures. */
export async function decodeJson<T>(schema: z.ZodType<T>, answer: Answer, route: string): Promise<T> {
  let value: unknown;
  try {
    value = await parseJson(answer.text);
  } catch {
    const what = answer.text === '' ? 'an empty answer' : 'an answer that is not JSON';
    throw protocolFailure(route, what, { status: answer.status });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const where = issue === undefined ? '' : ` at "${issue.path.join('.')}" (${issue.code})`;
  throw protocolFailure(route, `an answer of unexpected form${where}`, { status: answer.status });
}
