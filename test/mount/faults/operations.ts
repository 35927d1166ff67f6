/** The operations of programs on a mount, each in its own directory: the state before, the calls, and the state afterwards. */
import { join } from 'node:path';
import type { Step } from './performer.js';

/** The names of contents; `sizes` has their lengths. */
export type ContentName = 'small' | 'other' | 'appended' | 'both' | 'cut' | 'large' | 'chunks' | 'long';

const KiB = 1024;
const MiB = 1024 * KiB;

/** The most bytes that the sandbox takes in one request. Larger content goes in chunks. */
export const SIMPLE_LIMIT = 256 * KiB;
/** Bytes that `truncate` leaves. */
const CUT = 1000;

/** Bytes. */
export const sizes: Readonly<Record<Exclude<ContentName, 'both' | 'cut'>, number>> = {
  small: 3000,
  other: 3500,
  appended: 500,
  // One chunk and its three other requests.
  large: SIMPLE_LIMIT + 5000,
  // Two chunks of 8 MiB.
  chunks: 8 * MiB + 5000,
  // More than is fetched whole by the first read, so that it comes in several ranges.
  long: MiB + 100_000,
};

/** Contents that are made of others. */
export const derived = { both: ['small', 'appended'], cut: ['small', CUT] } as const;

/** The entries of a directory, by path: a file's content, or `folder`. */
export type Tree = Readonly<Record<string, ContentName | 'folder'>>;

export interface Operation {
  readonly name: string;
  /** The entries that another client has made before. */
  readonly before: Tree;
  /** The entries at the server and in the mount after the operation. */
  readonly after: Tree;
  /** The directory whose listing the mount knows before; without it the mount knows none. */
  readonly known?: string;
  /** The calls in the directory `at`. In `contents`, local files have the names of contents. */
  steps(at: string, contents: string): readonly Step[];
  /** What the last step returns. */
  readonly returns?: unknown;
  /** The content whose md5 the last step returns: of all of it, or of a part `[offset, length]`. */
  readonly reads?: { readonly content: ContentName; readonly part?: readonly [number, number] };
  /** The mount keeps content that it could not store: readable, listed with its errno, and stored at the next try. */
  readonly keeps?: boolean;
}

/** Not at the boundaries of blocks and pages. */
const PART = [700 * KiB + 4321, 4096] as const;

const write = (flags: 'wx' | 'w' | 'a', source: ContentName): Operation['steps'] => {
  return (at, contents) => [{ act: 'write', path: join(at, 'file'), flags, source: join(contents, source) }];
};
const rename = (from: string, to: string): Operation['steps'] => {
  return (at) => [{ act: 'rename', path: join(at, from), to: join(at, to) }];
};
const on = (act: 'mkdir' | 'rmdir' | 'unlink' | 'free', name: string): Operation['steps'] => {
  return (at) => [{ act, path: join(at, name) }];
};
const reading = (content: ContentName, part?: readonly [number, number]): Operation => ({
  name: '',
  before: { file: content },
  after: { file: content },
  known: '.',
  steps: (at) => {
    const where = part === undefined ? {} : { offset: part[0], length: part[1] };
    return [{ act: 'read', path: join(at, 'file'), ...where }];
  },
  reads: { content, ...(part === undefined ? {} : { part }) },
});
const unchanged = (tree: Tree): Pick<Operation, 'before' | 'after'> => ({ before: tree, after: tree });
const folder = { 'deep/one': 'small', 'deep/two': 'other', 'deep/inner': 'folder', deep: 'folder' } as const;

const all = {
  'cold ls': {
    ...unchanged(folder),
    steps: (at) => [{ act: 'list', path: join(at, 'deep') }],
    returns: ['inner', 'one', 'two'],
  },
  'stat of a name': {
    ...unchanged(folder),
    steps: (at) => [{ act: 'stat', path: join(at, 'deep/one') }],
    returns: sizes.small,
  },
  'read a small file': reading('small'),
  'read a long file': reading('long'),
  'read at random': reading('long', PART),
  'create small': { before: {}, after: { file: 'small' }, known: '.', steps: write('wx', 'small'), keeps: true },
  'create large': { before: {}, after: { file: 'large' }, known: '.', steps: write('wx', 'large'), keeps: true },
  'create in chunks': { before: {}, after: { file: 'chunks' }, known: '.', steps: write('wx', 'chunks'), keeps: true },
  'create in parts': { before: {}, after: { file: 'long' }, known: '.', steps: write('wx', 'long'), keeps: true },
  'overwrite in parts': {
    before: { file: 'other' },
    after: { file: 'long' },
    known: '.',
    steps: write('w', 'long'),
    keeps: true,
  },
  overwrite: {
    before: { file: 'other' },
    after: { file: 'small' },
    known: '.',
    steps: write('w', 'small'),
    keeps: true,
  },
  'overwrite large': {
    before: { file: 'other' },
    after: { file: 'large' },
    known: '.',
    steps: write('w', 'large'),
    keeps: true,
  },
  append: {
    before: { file: 'small' },
    after: { file: 'both' },
    known: '.',
    steps: write('a', 'appended'),
    keeps: true,
  },
  truncate: {
    before: { file: 'small' },
    after: { file: 'cut' },
    known: '.',
    steps: (at) => [{ act: 'truncate', path: join(at, 'file'), size: CUT }],
    keeps: true,
  },
  mkdir: { before: {}, after: { made: 'folder' }, known: '.', steps: on('mkdir', 'made') },
  rmdir: { before: { gone: 'folder' }, after: {}, known: 'gone', steps: on('rmdir', 'gone') },
  unlink: { before: { file: 'small' }, after: {}, known: '.', steps: on('unlink', 'file') },
  rename: { before: { file: 'small' }, after: { new: 'small' }, known: '.', steps: rename('file', 'new') },
  'rename a folder': {
    before: { 'old/file': 'small', old: 'folder' },
    after: { 'new/file': 'small', new: 'folder' },
    known: '.',
    steps: rename('old', 'new'),
  },
  move: {
    before: { file: 'small', there: 'folder', 'there/other': 'other' },
    after: { there: 'folder', 'there/new': 'small', 'there/other': 'other' },
    known: 'there',
    steps: rename('file', 'there/new'),
  },
  'rename over a file': {
    before: { file: 'small', new: 'other' },
    after: { new: 'small' },
    known: '.',
    steps: rename('file', 'new'),
  },
  df: { ...unchanged({}), steps: on('free', '.'), returns: true },
} as const satisfies Record<string, Omit<Operation, 'name'>>;

export type OperationName = keyof typeof all;

export function operation(name: OperationName): Operation {
  return { ...all[name], name };
}
