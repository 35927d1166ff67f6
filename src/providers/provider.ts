/**
 * The provider contract: what every cloud service must offer to the layers above, in the services' own terms
 * (remote ids, folders, revisions). It knows nothing of FUSE, inodes or SQLite.
 *
 * Rules that hold for every implementation, and that the shared contract suite checks:
 * - every method rejects with a `ProviderError` and nothing else;
 * - a method that resolves has been confirmed by the server;
 * - a request that is not safe to repeat is never repeated blindly: its outcome is looked up first;
 * - a method ends (well or badly) within its deadline, and soon after its signal aborts: a change that the server has in full
 *   is given a second to be answered, and then resolves.
 */

import type { Patience } from './patience.js';

export type ProviderName = '4shared' | '4sync' | '5sync' | 'acronis';

/** What a person may do with one remote object, as far as the provider tells. */
export type Access = 'read' | 'write';

export interface RemoteFile {
  readonly kind: 'file';
  readonly id: string;
  readonly parentId: string;
  /** The provider's own name: any Unicode string, possibly one that no local directory can hold. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Last change as the provider reports it, ms since the epoch. */
  readonly modified: number;
  /** Lower-case hex, or null where the provider does not tell. */
  readonly md5: string | null;
  readonly access: Access;
}

export interface RemoteFolder {
  readonly kind: 'folder';
  readonly id: string;
  /** Null for the root. */
  readonly parentId: string | null;
  readonly name: string;
  /** ms since the epoch. */
  readonly modified: number;
  readonly access: Access;
  /** How many files and folders it holds, as far as known; a hint that may be stale, null where unknown. */
  readonly fileCount: number | null;
  readonly folderCount: number | null;
}

export type RemoteEntry = RemoteFile | RemoteFolder;

/** Names an object without its attributes. */
export interface RemoteRef {
  readonly kind: 'file' | 'folder';
  readonly id: string;
  /** Where it was when last seen. A provider that can look at objects only by listing their folder (Acronis) starts there. */
  readonly parentId?: string | null;
}

/** What other clients did since the provider was last asked. */
export interface RemoteChanges {
  /** Folders whose `list` answers something else now; `all` where only a complete comparison would tell. */
  readonly folders: readonly string[] | 'all';
  /** When asking again is worth a request, ms from now: follows the plan's request limit. */
  readonly nextInMs: number;
}

/** What identifies the content of a file: two files of equal key hold the same bytes. Remote renames do not change it. */
export type RevisionKey = string;

/** md5 where the provider tells it; else size and time of change, which is all there is. */
export function revisionKey(file: Pick<RemoteFile, 'id' | 'size' | 'modified' | 'md5'>): RevisionKey {
  return file.md5 === null
    ? `${file.id}:${file.size}:${file.modified}`
    : `${file.id}:${file.size}:${file.md5.toLowerCase()}`;
}

export interface Quota {
  /** Bytes. */
  readonly total: number;
  readonly free: number;
}

export interface Account {
  readonly userId: string;
  /**
   * Where `userId` comes from: the service tells it, it is the name that was logged in with, or nothing but the
   * credentials tells accounts apart. In the latter two another `userId` may be the same account all the same.
   */
  readonly identifiedBy: 'service' | 'login' | 'credentials';
  /** For people: an e-mail address or a name. */
  readonly label: string;
  readonly root: RemoteFolder;
  readonly quota: Quota | null;
  /** Bytes; null where the provider names no limit. */
  readonly maxFileSize: number | null;
}

/** What a provider can do. The file system asks these, never the provider's name. */
export interface Capabilities {
  /** `real`: folders exist by themselves. `implied`: only through the files in them (5sync). */
  readonly folders: 'real' | 'implied';
  /** `entry` can be renamed and moved at the server, keeping its content. */
  readonly moveFile: boolean;
  readonly moveFolder: boolean;
  readonly copyFile: boolean;
  readonly trash: boolean;
  readonly permanentDelete: boolean;
  /** An interrupted upload goes on from what the server has. */
  readonly resumableUpload: boolean;
  /** Uploaded and stored content is reported with its md5. */
  readonly md5: boolean;
  readonly quota: boolean;
  readonly changes: boolean;
  readonly caseSensitive: boolean;
  /** Longest name the provider takes, in UTF-16 code units. */
  readonly maxNameLength: number;
}

/** `background` work (read-ahead, crawling, revalidation) yields to `foreground` work where requests are scarce. */
export type Priority = 'foreground' | 'background';

export interface RequestOptions {
  readonly signal?: AbortSignal;
  readonly priority?: Priority;
  /** Until when it is to end, ms since the epoch; by itself, each request has the provider's own deadline. */
  readonly deadline?: number | undefined;
  /** Shared by all requests of one operation: together they wait for one deadline. */
  readonly patience?: Patience | undefined;
  /** Of a `read`: other bytes of the revision are here from earlier. The answer must not be of a later one. */
  readonly continues?: boolean;
  /** Of a `read`: other ranges of the revision are asked for at the same time, and who waits for it waits for all of them. */
  readonly together?: boolean;
  /** Of a `read`: all bytes are compared with what they are known to be before any of them is given out. */
  readonly compared?: boolean;
}

export interface ByteRange {
  /** First byte, ≥ 0. */
  readonly offset: number;
  /** Bytes wanted, ≥ 1; offset + length ≤ the file's size. */
  readonly length: number;
}

export interface RangeBody {
  /** Offset in the file of the first byte of `body`: the range's own, or 0 where the server ignored the range. */
  readonly offset: number;
  /** Bytes that `body` yields: the range's length, or the whole file's where the server ignored the range. */
  readonly length: number;
  /**
   * The bytes, once. Ends after exactly `length` bytes or throws `ProviderError` (`integrity` when short, `network`,
   * `timeout` when it stalls). Leaving the loop early closes the connection.
   */
  readonly body: AsyncIterable<Uint8Array>;
}

/** Content to upload; it does not change while an upload reads it. */
export interface UploadSource {
  /** Bytes. */
  readonly size: number;
  /** The bytes of a part of it, as often as asked. */
  read(offset: number, length: number): AsyncIterable<Uint8Array>;
  /** Lower-case hex md5 of the whole content, computed once. */
  md5(): Promise<string>;
}

export interface UploadTarget {
  readonly parentId: string;
  readonly name: string;
  /** Store a new version of this file instead of a new one. */
  readonly replaces?: RemoteFile;
}

/** Where an upload stands at the server. JSON; opaque to everybody but the provider that wrote it. */
export type UploadCheckpoint = Readonly<Record<string, unknown>>;

export interface UploadOptions extends RequestOptions {
  /** Called with the number of bytes that the server has accepted so far. */
  onProgress?(sent: number): void;
  /** Awaited before the act that the checkpoint announces, and after each accepted part. */
  onCheckpoint?(checkpoint: UploadCheckpoint): void | Promise<void>;
  /** The last checkpoint of an earlier try of the same content. */
  readonly resume?: UploadCheckpoint;
}

export interface RateLimit {
  readonly limit: number;
  readonly remaining: number;
  /** ms since the epoch. */
  readonly resetAt: number;
  /** What was refused last because the requests that are left do not reach to its end, for people. */
  readonly refused?: string;
}

/** Something that takes several requests, before the first of them. */
export interface Work {
  /** For people: what it is, and of what. */
  readonly name: string;
  /** Bytes to be read of one file. */
  readonly read: number;
  /** Bytes to be stored after that. */
  readonly store: number;
  /** Files to be removed in the end. */
  readonly remove: number;
  /** What was done stays: what a whole window does not hold goes on in the next. */
  readonly isResumable: boolean;
}

export interface RequestMetrics {
  /** Requests sent since the start, repeats included. */
  readonly total: number;
  /** The same by route, such as `GET /folder/{id}/files`. */
  readonly byRoute: Readonly<Record<string, number>>;
  readonly rateLimit: RateLimit | null;
}

export interface Provider {
  readonly name: ProviderName;
  readonly capabilities: Capabilities;

  /** One request. Doubles as the check of credentials. */
  account(options?: RequestOptions): Promise<Account>;

  /**
   * Everything in a folder: files and folders, each once, without what is in the trash or not completely uploaded.
   * The counts in `folder` save requests where they are `fresh`: a part of count 0 is not asked for.
   */
  list(folder: RemoteFolder, options?: RequestOptions & { readonly countsAreFresh?: boolean }): Promise<RemoteEntry[]>;

  /** One object as it is now; `not-found` also when it is in the trash. */
  stat(ref: RemoteRef, options?: RequestOptions): Promise<RemoteEntry>;

  /**
   * Bytes of one revision of a file. Rejects (or the body throws) with `revision-changed` as soon as the server's
   * answer shows that the file is not the one described.
   */
  read(file: RemoteFile, range: ByteRange, options?: RequestOptions): Promise<RangeBody>;

  createFolder(parentId: string, name: string, options?: RequestOptions): Promise<RemoteFolder>;

  /**
   * Stores content and resolves with the object as the server reports it: its size equals the source's, and its md5
   * where the provider has one; `integrity` otherwise. The id may differ from `target.replaces.id`. Whatever
   * happens, the replaced version stays until the new one is stored.
   */
  upload(target: UploadTarget, source: UploadSource, options?: UploadOptions): Promise<RemoteFile>;

  /**
   * The upload of this checkpoint will not be resumed: removes what is left of it, and gives a version that had stepped
   * aside for it its name back. Present where an upload can leave something.
   */
  discardUpload?(checkpoint: UploadCheckpoint, options?: RequestOptions): Promise<void>;

  /** Renames, moves or both, in one request where the provider can. `exists` when the name is taken there. */
  move(
    entry: RemoteEntry,
    to: { readonly parentId: string; readonly name: string },
    options?: RequestOptions,
  ): Promise<RemoteEntry>;

  /** A copy at the server. `unsupported` where it has none. */
  copy(
    file: RemoteFile,
    to: { readonly parentId: string; readonly name: string },
    options?: RequestOptions,
  ): Promise<RemoteFile>;

  /** To the trash; a folder with all that is in it. The answer is the object as it was then, counts included where told. */
  trash(entry: RemoteEntry, options?: RequestOptions): Promise<RemoteEntry>;

  /** Back from the trash to where it was. */
  untrash(entry: RemoteEntry, options?: RequestOptions): Promise<RemoteEntry>;

  /**
   * For ever; a folder with all that is in it. `onlyEmpty`: where folders are implied, one that is known to hold a file stays, and the
   * answer is `exists`; elsewhere it changes nothing.
   */
  remove(entry: RemoteEntry, options?: RequestOptions & { readonly onlyEmpty?: boolean }): Promise<void>;

  /**
   * Asks the service what changed; at most one page of changes and the objects they name. Present where
   * `capabilities.changes` is true. Changes that `list` and others learnt of on their way are reported here too.
   */
  changes?(options?: RequestOptions): Promise<RemoteChanges>;

  metrics(): RequestMetrics;

  /** Throws `rate-limited` or `limit` where the account's requests do not reach to the end. Present where they are counted. */
  afford?(work: Work): void;

  /** Ends idle connections. Requests under way are aborted. */
  close(): Promise<void>;
}
