/** Parses parameters, and refuses malformed ones. */
import { badRequest } from './errors.js';
import type { Order } from './files.js';
import { directory } from './paths.js';

export function integerOf(text: string, name: string, least: number): number {
  if (!/^\d{1,15}$/.test(text) || Number(text) < least) throw badRequest(`${name} is an integer from ${least} on.`);
  return Number(text);
}

export function booleanOf(text: string | null | undefined, name: string, standard = false): boolean {
  if (text === null || text === undefined) return standard;
  if (text !== 'true' && text !== 'false') throw badRequest(`${name} is true or false.`);
  return text === 'true';
}

/** "Sort field: name, created, size" */
export function orderOf(text: string | null): Order | undefined {
  if (text === null || text === 'name' || text === 'created' || text === 'size') return text ?? undefined;
  throw badRequest('order_by is one of name, created, size.');
}

export function filterOf(path: string | null): string | undefined {
  return path === null ? undefined : directory(path);
}

/** "ISO 8601 timestamp to fetch changes from". Required. */
export function timeOf(text: string | null): number {
  if (text === null) throw badRequest('since is missing.');
  const time = Date.parse(text);
  const pattern = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))?$/;
  if (!pattern.test(text) || Number.isNaN(time)) throw badRequest(`since is no ISO 8601 timestamp: ${text}`);
  return time;
}

/** Parses the `cursor` of an earlier answer. */
export function positionOf(cursor: string | null): number {
  if (cursor === null) return 0;
  if (!/^c_[0-9a-z]+$/.test(cursor)) throw badRequest(`${cursor} is no cursor.`);
  return Number.parseInt(cursor.slice(2), 36);
}
