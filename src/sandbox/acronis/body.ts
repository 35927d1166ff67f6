/** Parses JSON bodies and parameters. Refuses invalid ones with "Validation failed". */
import { type Exchange, jsonType } from '../http/exchange.js';
import { invalid } from './errors.js';

const longest = 256 * 1024;

/** An object with no other fields than these. */
export async function jsonBody(exchange: Exchange, names: readonly string[]): Promise<Record<string, unknown>> {
  if (exchange.mediaType !== jsonType) throw invalid(`Content-Type must be ${jsonType}`);
  const text = await exchange.text(longest, () => invalid('the body is too long'));
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid('the body is no JSON');
  }
  return objectOf(value, names);
}

/** The same where every field is a string. */
export function onlyText(value: unknown, names: readonly string[]): Record<string, string | undefined> {
  const found: Record<string, string> = {};
  for (const [name, field] of Object.entries(objectOf(value, names))) {
    if (typeof field !== 'string') throw invalid(`${name} must be a string`);
    found[name] = field;
  }
  return found;
}

function objectOf(value: unknown, names: readonly string[]): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid('an object is missing');
  for (const name of Object.keys(value)) if (!names.includes(name)) throw invalid(`there is no ${name}`);
  return value as Record<string, unknown>;
}

/** A required parameter of the query. */
export function parameter({ query }: Exchange, name: string): string {
  const value = query.get(name);
  if (value === null || value === '') throw invalid(`${name} is missing`);
  return value;
}

export function integerOf({ query }: Exchange, name: string, least = 1): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  if (!/^\d{1,15}$/.test(text) || Number(text) < least) throw invalid(`${name} is an integer from ${least} on`);
  return Number(text);
}
