/**
 * The content that a directory must have after a crash.
 *
 * A file has the promised version first, then the versions that were written since that promise (a close or fsync that returned).
 * If there is only one version, nothing else may be found. With more, each byte and the size may come from any of them, as on a
 * local disk, but from nowhere else. If names are in doubt, the model has several trees.
 */
import { createHash } from 'node:crypto';
import type { Seen } from './file-worker.js';

export interface FileNode {
  readonly kind: 'file';
  /** Names with the same number are hard links of one file. */
  readonly inode: number;
  readonly versions: readonly Buffer[];
  /** It was made, but no call promised that it stays. */
  readonly isUnpromised: boolean;
}

export interface DirectoryNode {
  readonly kind: 'directory';
}

/** A symbolic link: there or not, never in doubt. */
export interface LinkNode {
  readonly kind: 'link';
  readonly target: string;
}

/** There or not, like a link. */
export interface FifoNode {
  readonly kind: 'fifo';
}

export type Node = FileNode | DirectoryNode | LinkNode | FifoNode;

/** By path; the top itself is not in it. */
export type Tree = ReadonlyMap<string, Node>;

/** Bytes. */
const PAGE = 4096;

export const directory: DirectoryNode = { kind: 'directory' };

export const fifo: FifoNode = { kind: 'fifo' };

/** A content that was promised. */
export function stored(content: Buffer, inode: number): FileNode {
  return { kind: 'file', inode, versions: [content], isUnpromised: false };
}

export function contentOf(node: FileNode): Buffer {
  return node.versions.at(-1) ?? Buffer.alloc(0);
}

/** True if everything in it was promised. */
export function isCertain(node: FileNode): boolean {
  return node.versions.length === 1 && !node.isUnpromised;
}

export function withNode(tree: Tree, path: string, node: Node): Tree {
  return new Map([...tree, [path, node]]);
}

/** Changes a file under each of its names. */
export function withFile(tree: Tree, changed: FileNode): Tree {
  return new Map([...tree].map(([at, node]) => [at, isSameFile(node, changed) ? changed : node]));
}

/** The names of a file, without this one. */
export function otherNames(tree: Tree, path: string): string[] {
  const node = tree.get(path);
  return filesOf(tree).flatMap(([at, other]) => (at !== path && node && isSameFile(node, other) ? [at] : []));
}

function isSameFile(a: Node, b: Node): boolean {
  return a.kind === 'file' && b.kind === 'file' && a.inode === b.inode;
}

export function without(tree: Tree, path: string): Tree {
  return new Map([...tree].filter(([at]) => at !== path));
}

/** Moves `from`, with all below it, to `to`, and replaces the node there. */
export function renamed(tree: Tree, from: string, to: string): Tree {
  return new Map([...without(tree, to)].map(([at, node]) => [moved(at, from, to), node]));
}

export function moved(path: string, from: string, to: string): string {
  if (path === from) return to;
  return path.startsWith(`${from}/`) ? to + path.slice(from.length) : path;
}

export function filesOf(tree: Tree): [string, FileNode][] {
  return [...tree].flatMap(([path, node]) => (node.kind === 'file' ? [[path, node] as [string, FileNode]] : []));
}

/** Kinds that the service does not know: symbolic links and FIFOs. */
export function entriesOf(tree: Tree): string[] {
  return [...tree].flatMap(([path, node]) => (node.kind === 'link' || node.kind === 'fifo' ? [path] : []));
}

export function directoriesOf(tree: Tree): string[] {
  return [...tree].flatMap(([path, node]) => (node.kind === 'directory' ? [path] : []));
}

export function md5Of(content: Buffer): string {
  return createHash('md5').update(content).digest('hex');
}

export interface Found {
  readonly seen: readonly Seen[];
  /** The content of one of them. */
  readonly read: (path: string) => Promise<Buffer>;
  /** Empty directories may be missing: the provider has none. */
  readonly impliedDirectories: boolean;
}

/** The found tree, now certain; or the reasons why it is not the `expected` one. */
export async function compare(expected: Tree, found: Found): Promise<{ tree: Tree } | { problem: string }> {
  const tree = new Map<string, Node>();
  const seen = new Map(found.seen.map((entry) => [entry.path, entry]));
  for (const path of seen.keys()) if (!expected.has(path)) return { problem: `${path} should not be there` };
  for (const [path, node] of expected) {
    const here = seen.get(path);
    if (here === undefined) {
      const mayBeAbsent = node.kind === 'file' ? node.isUnpromised : found.impliedDirectories;
      if (!mayBeAbsent) return { problem: `${path} is missing` };
      continue;
    }
    if (here.kind !== node.kind) return { problem: `${path} is a ${here.kind}` };
    if (here.kind !== 'file' || node.kind !== 'file') {
      const target = here.kind === 'link' ? here.target : '';
      if (node.kind === 'link' && target !== node.target) return { problem: `${path} points elsewhere` };
      tree.set(path, node);
      continue;
    }
    const same = node.versions.findLast((version) => here.size === version.length && md5Of(version) === here.md5);
    const content = same ?? (await found.read(path));
    const problem = same === undefined ? foreign(content, node.versions) : null;
    if (problem !== null) return { problem: `${path}: ${problem}` };
    tree.set(path, stored(content, node.inode));
  }
  const problem = wrongLinks(tree, found.seen);
  return problem === null ? { tree } : { problem };
}

/** A text about names that are one file here and two files there, or null. */
function wrongLinks(tree: Tree, seen: readonly Seen[]): string | null {
  const numbers = new Map<number, number>();
  for (const here of seen) {
    const node = tree.get(here.path);
    if (here.kind !== 'file' || node?.kind !== 'file') continue;
    const names = 1 + otherNames(tree, here.path).length;
    if (here.links !== names) return `${here.path} has ${here.links} links; expected ${names}`;
    if ((numbers.get(node.inode) ?? here.ino) !== here.ino) return `${here.path} is not one file with its other names`;
    numbers.set(node.inode, here.ino);
  }
  return null;
}

/** The part of `content` that no version has; null if each byte and the size come from a version. */
export function foreign(content: Buffer, versions: readonly Buffer[]): string | null {
  const sizes = versions.map(({ length }) => length);
  // The kernel splits one write at page boundaries.
  const isPiece =
    content.length % PAGE === 0 && content.length > Math.min(...sizes) && content.length < Math.max(...sizes);
  if (!sizes.includes(content.length) && !isPiece)
    return `has ${content.length} bytes; expected ${[...new Set(sizes)].join(' or ')}`;
  if (versions.length === 1) return `has another content of ${content.length} bytes`;
  for (let at = 0; at < content.length; at++) {
    if (versions.some((version) => version[at] === content[at])) continue;
    return `byte ${at} of ${content.length} is of none of its ${versions.length} versions`;
  }
  return null;
}

/** For a failure's report. */
export function describeTree(tree: Tree): string {
  const lines = [...tree].map(([path, node]) =>
    node.kind === 'directory'
      ? `${path}/`
      : node.kind === 'link'
        ? `${path} -> ${node.target}`
        : node.kind === 'fifo'
          ? `${path}|`
          : `${path} #${node.inode} ${node.versions.map((version) => `${version.length}:${md5Of(version).slice(0, 8)}`).join(' | ')}`,
  );
  return lines.sort().join('\n');
}

export function describeSeen(seen: readonly Seen[]): string {
  const lines = seen.map((one) =>
    one.kind === 'file'
      ? `${one.path} #${one.ino} ${one.size}:${one.md5.slice(0, 8)}`
      : one.kind === 'link'
        ? `${one.path} -> ${one.target}`
        : one.path,
  );
  return lines.sort().join('\n');
}
