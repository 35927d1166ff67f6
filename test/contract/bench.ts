/**
 * What the provider contract needs of the world: a local server that speaks the provider's protocol, another client of
 * the same account, a plan of faults, a log of requests, and a clock that never makes anybody wait.
 */
import { createHash } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Clock } from '../../src/base/clock.js';
import type { UploadSource } from '../../src/providers/content.js';
import type {
  Capabilities,
  Provider,
  ProviderName,
  RemoteEntry,
  RemoteFile,
  RemoteFolder,
} from '../../src/providers/provider.js';
import type { ProviderSettings } from '../../src/providers/registry.js';
import type { Content, Entry, FaultAction } from '../../src/sandbox/index.js';

/** The requests of a protocol by purpose. A provider leaves out those that its protocol lacks. */
export type Operation =
  | 'account'
  | 'user'
  | 'token'
  | 'changes'
  | 'list-files'
  | 'list-folders'
  | 'stat-file'
  | 'stat-folder'
  | 'download'
  | 'create-folder'
  | 'upload'
  | 'replace'
  | 'upload-start'
  | 'upload-chunk'
  | 'upload-status'
  | 'upload-complete'
  | 'rename-file'
  | 'rename-folder'
  | 'move-file'
  | 'move-folder'
  | 'copy-file'
  | 'trash-file'
  | 'trash-folder'
  | 'untrash-file'
  | 'untrash-folder'
  | 'remove-file'
  | 'remove-folder';

/** Another client of the same user, which sees and changes the account without a request. */
export interface OtherClient {
  readonly rootId: string;
  putFile(path: string, content: Content, options?: { modified?: number }): Promise<Entry>;
  /** `name` may be any name, even that of another entry. */
  putFileIn(folderId: string, name: string, content: Content, duplicate?: boolean): Promise<Entry>;
  makeFolder(path: string): Entry;
  rename(path: string, name: string): Entry;
  remove(path: string, options?: { trash?: boolean }): void;
  readFile(path: string): Promise<Buffer>;
  stat(path: string): Entry | undefined;
  byId(id: string): Entry | undefined;
  list(path?: string): Entry[];
  /** Everything outside the trash, by path. */
  tree(): Entry[];
  trash(): Entry[];
}

export interface SeenRequest {
  readonly operation: Operation | undefined;
  readonly route: string;
  readonly status: number;
  /** Body bytes that the server received and sent. */
  readonly bytesIn: number;
  readonly bytesOut: number;
}

export interface ContractServer {
  readonly store: OtherClient;
  readonly clock: HurriedClock;
  /** A client. It is closed with the test. */
  connect(settings?: Partial<ProviderSettings>): Provider;
  fault(operation: Operation, action: FaultAction, when?: { times?: number; nth?: number; after?: number }): void;
  /** The requests since the last `forget`. */
  requests(...operations: Operation[]): SeenRequest[];
  forget(): void;
  /** Acts that are forbidden to every client, such as sending credentials to another host. */
  violations(): string[];
  limit(what: 'quota' | 'file-size' | 'files-in-folder', value: number): void;
  rateLimit(requests: number, seconds: number, retryAfter: boolean): void;
  /** From now on, nothing may change in this folder. */
  forbidWriting(path: string): void;
  /** Restores the start: no faults, no log, no limits, no clients. The account's content stays. */
  reset(): Promise<void>;
  close(): Promise<void>;
}

export interface ContractSetup {
  readonly provider: ProviderName;
  readonly capabilities: Capabilities;
  /** Content above `simple` goes in chunks of `chunk` bytes, at the server as in the client. */
  readonly sizes: { readonly simple: number; readonly chunk: number };
  /** Credentials that the server refuses. */
  readonly badCredentials: readonly unknown[];
  /** Names that this provider accepts, and that are hard for a local directory, a URL or a form. */
  readonly names: readonly string[];
  /** Requests that a listing may cost. */
  readonly costs: {
    list(folder: { files: number; folders: number; countsAreFresh: boolean }): number;
    /** The requests of one large file, without its chunks. */
    readonly chunkedUpload: number;
    readonly chunkedReplace: number;
    /** Chunks of one byte, by which a client finds out how the server handles chunks. */
    readonly probes?: number;
    /** The requests of one small file; default: 1. */
    readonly upload?: number;
  };
  /** The endpoints of this provider by key, with the path at the end of each. */
  readonly paths: Readonly<Record<string, string>>;
  /** The requests by which it looks around before and after its acts. They do not count when tests count acts. */
  readonly lookups?: readonly Operation[];
  /** Operations that use the request of another operation. */
  readonly same?: Partial<Record<Operation, Operation>>;
  /** Folders come with the counts of their entries; default: true. */
  readonly tellsCounts?: boolean;
  /** A move with a new name takes two requests: one to rename, one to move. */
  readonly movesInSteps?: boolean;
  /** Tests (by full name) that do not fit this provider, with the reason. */
  readonly skips?: readonly { readonly test: RegExp; readonly reason: string }[];
  open(): Promise<ContractServer>;
}

/** One test's own folder in the shared account. */
export interface Room {
  readonly server: ContractServer;
  readonly store: OtherClient;
  readonly provider: Provider;
  /** The folder, without counts. */
  readonly folder: RemoteFolder;
  readonly path: string;
}

export type Rooms = () => Room;

/** A clock on which sleeping takes almost no real time: it jumps to the time at which a sleeper wants to wake. */
export class HurriedClock implements Clock {
  #ahead = 0;

  now(): number {
    return Date.now() + this.#ahead;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    const wake = this.now() + ms;
    // It sleeps a little, because a server's work takes real time, and a client that polls must leave it some. It takes one turn of the
    // event loop for each second. In a single turn on a very busy machine, a deadline would pass before this process reads an answer
    // that was written long ago.
    const turns = Math.min(20, Math.max(1, Math.floor(ms / 1000)));
    for (let turn = 0; turn < turns; turn++) await setTimeout(ms / 200 / turns, undefined, { signal });
    this.#ahead += Math.max(0, wake - this.now());
  }

  /** Lets time pass at once. */
  jump(ms: number): void {
    this.#ahead += ms;
  }

  reset(): void {
    this.#ahead = 0;
  }
}

/** Registers a test of something that only some providers can do. For the others it is a skip with the reason in its name. */
export function testIf(able: boolean, reason: string): typeof test | ((name: string, run: () => unknown) => void) {
  return able
    ? test
    : (name: string, run: () => unknown) => test.skip(`${name} [skipped: ${reason}]`, run as () => void);
}

/** Expects these requests at the server. Requests that only look around do not count. */
export function expectActs({ server }: Room, setup: ContractSetup, ...expected: readonly Operation[]): void {
  const acts = expected.map((operation) => setup.same?.[operation] ?? operation);
  const seen = server.requests().map(({ operation }) => operation);
  const isLookup = (operation: Operation | undefined): boolean =>
    operation !== undefined && !acts.includes(operation) && setup.lookups?.includes(operation) === true;
  expect(seen.filter((operation) => !isLookup(operation))).toEqual(acts);
}

export const md5 = (data: Uint8Array): string => createHash('md5').update(data).digest('hex');

/** Bytes without a pattern, so that a shifted or repeated part shows. The same for the same seed. */
export function noise(size: number, seed = 1): Buffer {
  const words = new Uint32Array(Math.ceil(size / 4));
  let state = (seed * 0x9e3779b1) >>> 0 || 1;
  for (let at = 0; at < words.length; at++) {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    words[at] = state;
  }
  return Buffer.from(words.buffer, 0, size);
}

export function source(data: Buffer): UploadSource {
  return {
    size: data.length,
    async *read(offset, length) {
      for (let at = offset; at < offset + length; at += 65_536)
        yield data.subarray(at, Math.min(at + 65_536, offset + length));
    },
    md5: async () => md5(data),
  };
}

export async function collect(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of body) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

/** The bytes of a range, even from a server that sends the whole file. Checks what the answer says about itself. */
export async function readRange(
  provider: Provider,
  file: RemoteFile,
  offset: number,
  length: number,
  signal?: AbortSignal,
): Promise<Buffer> {
  const answer = await provider.read(file, { offset, length }, { signal });
  const whole = answer.offset === 0 && answer.length === file.size;
  if (!whole) expect(answer).toMatchObject({ offset, length });
  const bytes = await collect(answer.body);
  expect(bytes.length).toBe(answer.length);
  return bytes.subarray(offset - answer.offset, offset - answer.offset + length);
}

/** A folder as in an old listing. */
export function folderOf(entry: Entry, counts: Partial<RemoteFolder> = {}): RemoteFolder {
  const { id, name, modified } = entry;
  return {
    kind: 'folder',
    id,
    parentId: 'unknown',
    name,
    modified,
    access: 'write',
    fileCount: null,
    folderCount: null,
    ...counts,
  };
}

/** Everything below the room by relative path: the md5 of files, `folder` for folders. */
export function treeOf({ store, path }: Room): Record<string, string> {
  const inside = store.tree().filter((entry) => entry.path.startsWith(`${path}/`));
  return Object.fromEntries(
    inside.map((entry) => [
      entry.path.slice(path.length + 1),
      entry.kind === 'folder' ? 'folder' : entry.status === 'incomplete' ? 'incomplete' : entry.md5,
    ]),
  );
}

/** Stores a file as another client, and returns it as this provider would. */
export async function existing(room: Room, name: string, content: Content): Promise<RemoteFile> {
  const { id } = await room.store.putFile(`${room.path}/${name}`, content);
  return asFile(await statFresh(room, { kind: 'file', id }));
}

export async function existingFolder(room: Room, name: string): Promise<RemoteFolder> {
  const entry = room.store.makeFolder(`${room.path}/${name}`);
  return asFolder(await statFresh(room, { kind: 'folder', id: entry.id }));
}

/** A folder that the client has seen, and that is gone now. */
export async function goneFolder(room: Room): Promise<string> {
  const { id } = await existingFolder(room, 'nowhere');
  room.store.remove(`${room.path}/nowhere`);
  return id;
}

async function statFresh(room: Room, ref: { kind: 'file' | 'folder'; id: string }): Promise<RemoteEntry> {
  const entry = await room.provider.stat(ref);
  room.server.forget();
  return entry;
}

export function asFile(entry: RemoteEntry): RemoteFile {
  if (entry.kind !== 'file') throw new Error(`${entry.name} is a folder`);
  return entry;
}

export function asFolder(entry: RemoteEntry): RemoteFolder {
  if (entry.kind !== 'folder') throw new Error(`${entry.name} is a file`);
  return entry;
}

/** The error of a promise that must fail, and how long it took, ms. */
export async function failure(promise: Promise<unknown>): Promise<{ error: unknown; tookMs: number }> {
  const begun = performance.now();
  try {
    await promise;
  } catch (error) {
    return { error, tookMs: performance.now() - begun };
  }
  throw new Error('it resolved, although it should have failed');
}
