/**
 * The store's files, called packs: gzip of lines of JSON. The first line is the header, each further line an entry. Pack 0 of a machine
 * is its index, whose header names the folders of the machine's other packs. docs/metadata-format.md describes the files for other
 * programs.
 */
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { z } from 'zod';
import { forEachInTurns } from '../base/event-loop-turns.js';
import { ProviderError } from '../providers/errors.js';
import { type EntryLine, parseEntry } from './entry.js';

const compress = promisify(gzip);
const decompress = promisify(gunzip);

/** Rises when an earlier version would misunderstand the files. */
export const formatVersion = 1;
const formatName = 'syncmount-metadata';

/** The limit of a decompressed file, bytes. Our files have 4 MiB, or one larger entry. A longer one is an attempt to fill the memory. */
const LONGEST_FILE = 64 * 1024 * 1024;

const headerSchema = z.looseObject({
  format: z.literal(formatName),
  version: z.number().int().min(1),
  machine: z.string(),
  pack: z.number().int().min(0),
  /** In the index (pack 0): the folders of each other pack. */
  packs: z.record(z.string().regex(/^[1-9]\d{0,8}$/), z.array(z.string())).optional(),
});

export type PackHeader = z.infer<typeof headerSchema>;

export interface PackContent {
  readonly header: PackHeader;
  readonly entries: readonly EntryLine[];
  /** The number of lines that are no entries. The other lines of the file still count. */
  readonly bad: number;
}

/** The name of a file in the hidden folder. */
export function packName(machine: string, pack: number): string {
  return `${machine}.${pack === 0 ? 'index' : pack}.jsonl.gz`;
}

/** Null if the name is not that of a machine's file. */
export function parsePackName(name: string): { readonly machine: string; readonly pack: number } | null {
  const [, machine, pack] = /^([0-9a-f]{16})\.(index|[1-9]\d{0,8})\.jsonl\.gz$/.exec(name) ?? [];
  if (machine === undefined || pack === undefined) return null;
  return { machine, pack: pack === 'index' ? 0 : Number(pack) };
}

/** `lines` are the entries as `lineOf` writes them. */
export async function encodePack(
  header: Omit<PackHeader, 'format' | 'version'>,
  lines: readonly string[],
): Promise<Buffer> {
  const first = JSON.stringify({ format: formatName, version: formatVersion, ...header });
  return compress(`${[first, ...lines].join('\n')}\n`);
}

/** Throws `ProviderError` `integrity` if the file is damaged or not a pack, and `unsupported` if it has a later version of the format. */
export async function decodePack(bytes: Uint8Array): Promise<PackContent> {
  let text: string;
  try {
    text = (await decompress(bytes, { maxOutputLength: LONGEST_FILE })).toString();
  } catch (cause) {
    throw new ProviderError('integrity', 'it is damaged', { cause, data: {} });
  }
  const [first = '', ...lines] = text.split('\n');
  const header = headerOf(first);
  if (header === null) throw new ProviderError('integrity', 'it is no file of syncmount', { data: {} });
  if (header.version > formatVersion)
    throw new ProviderError(
      'unsupported',
      `it is of format ${header.version}, and this version of syncmount reads up to ${formatVersion}: update syncmount`,
      { data: {} },
    );
  const entries: EntryLine[] = [];
  let bad = 0;
  await forEachInTurns(lines, (line) => {
    if (line === '') return;
    const entry = parseEntry(line);
    if (entry === null) bad++;
    else entries.push({ entry, line });
  });
  return { header, entries, bad };
}

function headerOf(line: string): PackHeader | null {
  try {
    const parsed = headerSchema.safeParse(JSON.parse(line));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}
