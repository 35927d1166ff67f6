/** The metadata store of a made account: entries of all its files, as another machine has stored them. docs/metadata-format.md. */
import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import type { MadeAccountShape } from './made-account.js';

const machine = '00c0ffee00c0ffee';
/** "at most 4,096" entries in a pack; a pack takes new folders up to three quarters. */
const entriesInPack = 3072;
const clock = Date.UTC(2024, 0, 1);

export interface MadeFile {
  readonly name: string;
  readonly md5: string;
  readonly bytes: Buffer;
}

/** The store's files, the index first. `nameOf` and `idOf` are those of the account. */
export function madeMetadata(
  { folders, files }: MadeAccountShape,
  of: (folder: number, index: number) => { readonly folder: string; readonly name: string; readonly id: string },
): MadeFile[] {
  const perPack = Math.max(1, Math.floor(entriesInPack / files));
  const packs: Record<string, string[]> = {};
  const made: MadeFile[] = [];
  for (let first = 0; first < folders; first += perPack) {
    const pack = first / perPack + 1;
    const within = Array.from({ length: Math.min(perPack, folders - first) }, (_, n) => first + n);
    packs[pack] = within.map((folder) => of(folder, 0).folder);
    const entries = within.flatMap((folder) =>
      Array.from({ length: files }, (_, index) => entry(of(folder, index), folder * files + index)),
    );
    made.push(fileOf(pack, {}, entries));
  }
  return [fileOf(0, { packs }, []), ...made];
}

/** `count`: as many were written before it. */
function entry({ folder, name, id }: { folder: string; name: string; id: string }, count: number): object {
  return { folder, name, kind: 'file', clock: [clock + count, 0], id, mode: '0640' };
}

function fileOf(pack: number, header: object, entries: readonly object[]): MadeFile {
  const lines = [{ format: 'syncmount-metadata', version: 1, machine, pack, ...header }, ...entries];
  // The fastest level: the test's own time does not count.
  const bytes = gzipSync(lines.map((line) => `${JSON.stringify(line)}\n`).join(''), { level: 1 });
  const md5 = createHash('md5').update(bytes).digest('hex');
  return { name: `${machine}.${pack === 0 ? 'index' : pack}.jsonl.gz`, md5, bytes };
}
