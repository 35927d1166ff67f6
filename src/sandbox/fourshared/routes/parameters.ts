/** Parameters that several calls share. */

import type { Call } from '../call.js';
import * as refuse from '../errors.js';
import type { Placement } from '../state/actions.js';
import type { FolderItem, Item } from '../state/items.js';
import { checkName, longestName, type Rules } from '../state/rules.js';

export interface Page {
  limit: number;
  offset: number;
}

/** "limit: Min value is 1. Default (and max value) is 100. offset: Default is 0." */
export function page(exchange: Call): Page {
  const limit = integer(exchange, 'limit') ?? 100;
  if (limit > 100) throw refuse.tooGreat('limit', 100);
  if (limit < 1) throw refuse.tooSmall('limit', 1);
  const offset = integer(exchange, 'offset') ?? 0;
  if (offset < 0) throw refuse.tooSmall('offset', 0);
  return { limit, offset };
}

export function cut<T>(all: readonly T[], { limit, offset }: Page): T[] {
  return all.slice(offset, offset + limit);
}

export function integer(exchange: Call, name: string): number | undefined {
  const text = exchange.optional(name);
  if (text === undefined) return undefined;
  if (!/^-?\d{1,15}$/.test(text)) throw refuse.malformed(name, `${text} is not an integer`);
  return Number(text);
}

const addable = ['description', 'tags', 'exif', 'id3'] as const;

/** "addFields … is applicable for all /files resource queries." */
export function addFields(exchange: Call): Set<string> {
  const text = exchange.query.get('addFields') ?? '';
  const names = text.split(',').filter((name) => name !== '');
  for (const name of names)
    if (!(addable as readonly string[]).includes(name)) throw refuse.unsupportedValue('addFields', addable);
  return new Set(names);
}

export function optionalText(exchange: Call, name: string): string | undefined {
  const text = exchange.optional(name);
  if (text !== undefined && text.length > longestName) throw refuse.badLength(name, 0, longestName);
  return text;
}

export function optionalName(exchange: Call): string | undefined {
  const name = exchange.optional('name');
  return name === undefined ? undefined : checkName(name, 'name');
}

/** The required folderId, and the name under `field`. */
export function placement(exchange: Call, rules: Rules, field: string): Placement {
  const folderId = exchange.required('folderId');
  const name = checkName(exchange.required(field), field);
  return { folder: rules.liveFolder(folderId), name };
}

/** The target of a copy or move: folderId, and optionally a new name. */
export function target(exchange: Call, rules: Rules, item: Item): Placement {
  const folder: FolderItem = rules.liveFolder(exchange.required('folderId'));
  return { folder, name: optionalName(exchange) ?? item.name };
}

export function oneOf<const T extends string>(exchange: Call, name: string, values: readonly T[]): T | undefined {
  const text = exchange.optional(name);
  if (text === undefined) return undefined;
  const value = values.find((known) => known === text);
  if (value === undefined) throw refuse.unsupportedValue(name, values);
  return value;
}
