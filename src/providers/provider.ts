/**
 * The provider contract: what every cloud service must offer to the layers above, in the services' own terms
 * (remote ids, folders, revisions). It knows nothing of FUSE, inodes or SQLite.
 *
 * Rules that hold for every implementation, and that the shared contract suite checks:
 * - every method rejects with a `ProviderError` and nothing else;
 * - when a method resolves, the server has confirmed the result;
 * - a request that is not safe to repeat is never repeated before its outcome has been looked up;
 * - a method settles within its deadline, and soon after its signal aborts. A change that has been sent to the server in
 *   full gets one second more: if the answer arrives, the method resolves.
 */

import type { ByteRange, Pieces, RangeBody, UploadSource } from './content.js';
import type { RequestMetrics } from './request-metrics.js';
import type { WaitBudget } from './wait-budget.js';

export const PROVIDER_NAMES = ['4shared', '4sync', '5sync', 'acronis'] as const;
export type ProviderName = (typeof PROVIDER_NAMES)[number];

/** The account's rights on one remote object, as far as the provider reports them. */
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
  /** Lower-case hex, or null if the provider does not report it. */
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
  /** The number of files and folders in it: a hint that may be stale. Null if unknown. */
  readonly fileCount: number | null;
  readonly folderCount: number | null;
}

export type RemoteEntry = RemoteFile | RemoteFolder;

/** An object and its place. For an object in the trash: its place before. */
export interface PlacedEntry {
  /** `parentId` and `name` tell the place. `parentId` is null or '' if the service does not tell the folder. */
  readonly entry: RemoteEntry;
  /** The names from the account's root down to the object; null if the service does not tell them. */
  readonly path: readonly string[] | null;
}

/** Identifies an object without its attributes. */
export interface RemoteRef {
  readonly kind: 'file' | 'folder';
  readonly id: string;
  /** Its last known folder. A provider that finds objects only by listing their folder (Acronis) starts there. */
  readonly parentId?: string | null;
}

/** The changes that other clients made since the last call of `changes`. */
export interface RemoteChanges {
  /** Folders whose listing has changed; `all` if any folder may have. */
  readonly folders: readonly string[] | 'all';
  /** When to call `changes` again, ms from now. Depends on the plan's rate limit. */
  readonly nextInMs: number;
}

/** Identifies the content of a file: equal keys mean equal bytes. A remote rename does not change the key. */
export type RevisionKey = string;

/** Uses the md5 if the provider reports it; else size and modification time, because nothing better is known. */
export function revisionKey(file: Pick<RemoteFile, 'id' | 'size' | 'modified' | 'md5'>): RevisionKey {
  return file.md5 === null
    ? `${file.id}:${file.size}:${file.modified}`
    : `${file.id}:${file.size}:${file.md5.toLowerCase()}`;
}

/**
 * A change this soon after another one may get the same modification time, ms. Some services report whole seconds, and the clocks of
 * a service's machines differ by up to another second.
 */
export const YOUNG_MS = 2000;
/** A modification time further in the future than this does not come from the service's clock, ms. */
const FROM_ANOTHER_CLOCK = 60_000;

/**
 * True if the file changed so shortly before `at`, by the service's clock, that a later change may leave it with the same revision. Git
 * calls such an entry racily clean.
 */
export function isYoung({ md5, modified }: Pick<RemoteFile, 'md5' | 'modified'>, at: number): boolean {
  return md5 === null && at - modified < YOUNG_MS && modified - at < FROM_ANOTHER_CLOCK;
}

/** The id of the file that a revision belongs to. */
export function idOfRevision(key: RevisionKey): string {
  return key.split(':').slice(0, -2).join(':');
}

export interface Quota {
  /** Bytes. */
  readonly total: number;
  readonly free: number;
}

export interface Account {
  readonly userId: string;
  /**
   * The source of `userId`: the service, the login name, or (derived) the credentials. With the last two, different values
   * of `userId` may mean the same account.
   */
  readonly identifiedBy: 'service' | 'login' | 'credentials';
  /** For people: an e-mail address or a name. */
  readonly label: string;
  readonly root: RemoteFolder;
  readonly quota: Quota | null;
  /** Bytes; null if the provider names no limit. */
  readonly maxFileSize: number | null;
}

/** A provider's capabilities. The file system checks these flags, never the provider's name. */
export interface Capabilities {
  /** `real`: folders are objects of their own. `implied`: a folder exists only through the files in it (5sync). */
  readonly folders: 'real' | 'implied';
  /** The server can rename and move a file without a new upload. */
  readonly moveFile: boolean;
  readonly moveFolder: boolean;
  readonly copyFile: boolean;
  readonly trash: boolean;
  /** The service forgets the place of an object in its trash: `untrash` takes it from the entry, `listTrash` cannot tell it. */
  readonly trashForgetsPlaces?: true;
  readonly permanentDelete: boolean;
  /** An interrupted upload continues from the bytes that the server has. */
  readonly resumableUpload: boolean;
  /** The server reports the md5 of stored content. */
  readonly md5: boolean;
  readonly quota: boolean;
  readonly changes: boolean;
  readonly caseSensitive: boolean;
  /** Longest name that the provider accepts, in UTF-16 code units. */
  readonly maxNameLength: number;
}

/** `background` work (read-ahead, crawling, revalidation) yields to `foreground` work when requests are scarce. */
export type Priority = 'foreground' | 'background';

export interface RequestOptions {
  readonly signal?: AbortSignal;
  readonly priority?: Priority;
  /** The request must end before this moment of the clock's `SteadyTime`, ms. Default: the provider's own deadline for each request. */
  readonly deadline?: number | undefined;
  /** Shared by all requests of one operation: together they wait no longer than one deadline. */
  readonly waitBudget?: WaitBudget | undefined;
  /** For `read`: the caller has other bytes of this revision from earlier. The answer must not be of a later revision. */
  readonly hasEarlierBytes?: boolean;
  /** For `read`: the caller reads several ranges of the revision at once and needs all of them, so they share a revalidation. */
  readonly inBatch?: boolean;
  /** For `read`: the caller waits for `RangeBody.proof`. Other callers get no byte before its revision is known. */
  readonly acceptsProof?: boolean;
  /** For `read`: the caller checks all bytes against their checksums before it uses any of them. */
  readonly isVerified?: boolean;
  /** For `read`: the range is large, and the caller prefers the body in such pieces. The provider may ignore this. */
  readonly pieces?: Pieces;
}

export interface UploadTarget {
  readonly parentId: string;
  readonly name: string;
  /** Store a new version of this file instead of a new file. */
  readonly replaces?: RemoteFile;
}

/** The state of an upload at the server, as JSON. Only the provider that wrote it can read it. */
export type UploadCheckpoint = Readonly<Record<string, unknown>>;

export interface UploadOptions extends RequestOptions {
  /** Called with the number of bytes that the server has accepted so far. */
  onProgress?(sent: number): void;
  /** The provider awaits this call before the step that the checkpoint announces, and after each accepted part. */
  onCheckpoint?(checkpoint: UploadCheckpoint): void | Promise<void>;
  /** The last checkpoint of an earlier attempt with the same content. */
  readonly resume?: UploadCheckpoint;
}

/** Work that takes several requests. See `Provider.assertBudget`. */
export interface Work {
  /** For people, such as `storing /a/b`. */
  readonly name: string;
  /** Bytes to read, from one file or from as many as `files`. */
  readonly read: number;
  /** Bytes to store after that. */
  readonly store: number;
  /** The number of files, of about the same size, that the bytes belong to. Default: 1. */
  readonly files?: number;
  /** Files to remove in the end. */
  readonly remove: number;
  /** The work can stop and continue later without losing progress, so it may take more than one rate-limit window. */
  readonly isResumable: boolean;
}

/** A request about the link through which others reach an object. */
export interface LinkRequest {
  readonly act: 'create' | 'show' | 'remove';
  readonly password?: string;
  /** The link expires after this many days. */
  readonly days?: number;
}

export interface RemoteLink {
  /** Null if the service tells none. */
  readonly url: string | null;
  /** True if people without an account can reach the object. */
  readonly isPublic: boolean;
  readonly hasPassword?: boolean;
  /** When the link expires, ms since the epoch. */
  readonly expires?: number;
}

/** A person or a group with whom a folder is shared. */
export interface Member {
  /** Null if the service tells none, for example for a group. */
  readonly email: string | null;
  readonly name: string | null;
  /** In the service's words, such as `owner` or `guest`. */
  readonly role: string;
  readonly readOnly: boolean;
  readonly canInvite: boolean;
  readonly canViewMembers: boolean;
}

/** The rights to give to a member of a folder. */
export type MemberRights = Pick<Member, 'readOnly' | 'canInvite' | 'canViewMembers'>;

/** A request as the service's documents describe it. */
export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Below the base URL, such as `/files/x1?addFields=tags`. */
  readonly path: string;
  /** Which base URL: a key of the account's endpoints. Default: the one that the documents give for the path. */
  readonly endpoint?: string;
  /** Parameters by name. The documents say which: query, form, or JSON object (`a[b]` is a nested field). */
  readonly fields: Readonly<Record<string, string>>;
  /** The body. `fields` then go into the query, or into a multipart form beside the body. */
  readonly data?: { readonly name: string; readonly bytes: Uint8Array };
  readonly headers?: Readonly<Record<string, string>>;
}

export interface ApiAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Can be iterated once, and must be. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** A provider's memory of the last answer about a folder. Only the provider that made it can read it. */
export type ListingMemory = object;

export type ListOptions = RequestOptions & { readonly countsAreFresh?: boolean };

/** `memory`: null if no earlier answer is known. */
export type ListAgainOptions = ListOptions & { readonly memory: ListingMemory | null };

export interface RevalidatedListing {
  /** `same`: the service gave the answer again from which `memory` was made. */
  readonly entries: RemoteEntry[] | 'same';
  /** Null: the next answer cannot be compared with this one. */
  readonly memory: ListingMemory | null;
}

export interface Provider {
  readonly name: ProviderName;
  readonly capabilities: Capabilities;

  /** Takes one request. Also serves to check the credentials. */
  account(options?: RequestOptions): Promise<Account>;

  /**
   * Everything in a folder: files and folders, each once, without objects in the trash and incomplete uploads. With
   * `countsAreFresh` the counts in `folder` save requests: files or folders with count 0 are not requested.
   */
  list(folder: RemoteFolder, options?: ListOptions): Promise<RemoteEntry[]>;

  /** As `list`, for a caller that has the entries of an earlier answer. Absent if the comparison would save nothing. */
  revalidateListing?(folder: RemoteFolder, options: ListAgainOptions): Promise<RevalidatedListing>;

  /** One object as it is now. Rejects with `not-found` also if it is in the trash. */
  stat(ref: RemoteRef, options?: RequestOptions): Promise<RemoteEntry>;

  /**
   * Reads bytes of one revision of a file. Rejects (or the body throws) with `revision-changed` as soon as the server's
   * answer shows that the file has another revision.
   */
  read(file: RemoteFile, range: ByteRange, options?: RequestOptions): Promise<RangeBody>;

  createFolder(parentId: string, name: string, options?: RequestOptions): Promise<RemoteFolder>;

  /**
   * Stores content and resolves with the object as the server reports it. Its size equals the source's, and so does its
   * md5 if the provider reports one; else it rejects with `integrity`. The id may differ from `target.replaces.id`.
   * Invariant: the replaced version stays until the new one is stored.
   */
  upload(target: UploadTarget, source: UploadSource, options?: UploadOptions): Promise<RemoteFile>;

  /**
   * Cleans up after an upload that will not be resumed: removes its partial content, and gives the version that was not
   * replaced its name back. Present if an upload can leave something behind.
   */
  discardUpload?(checkpoint: UploadCheckpoint, options?: RequestOptions): Promise<void>;

  /** Renames, moves or both, in one request if the provider can. Rejects with `exists` if the name is taken there. */
  move(
    entry: RemoteEntry,
    to: { readonly parentId: string; readonly name: string },
    options?: RequestOptions,
  ): Promise<RemoteEntry>;

  /** Copies a file at the server. Rejects with `unsupported` if the provider cannot. */
  copy(
    file: RemoteFile,
    to: { readonly parentId: string; readonly name: string },
    options?: RequestOptions,
  ): Promise<RemoteFile>;

  /**
   * Moves an object to the trash; a folder with everything in it. Resolves with the object as it was at that moment, with
   * its counts if the server reports them.
   */
  trash(entry: RemoteEntry, options?: RequestOptions): Promise<RemoteEntry>;

  /**
   * Restores an object from the trash to the folder it was in, under `name` (default: its old name). Rejects with `exists` if that
   * is taken there. The answer tells the object's new place: if its folder is gone, the service may choose another one.
   */
  untrash(entry: RemoteEntry, options?: RequestOptions & { readonly name?: string }): Promise<RemoteEntry>;

  /** Everything in the trash, each object once; a folder without its content. Present if `capabilities.trash` is true. */
  listTrash?(options?: RequestOptions): Promise<PlacedEntry[]>;

  /**
   * Removes an object for ever, also one in the trash; a folder with everything in it. With `onlyEmpty`, an implied folder that is
   * known to hold a file stays, and the call rejects with `exists`. `onlyEmpty` has no effect on real folders.
   */
  remove(entry: RemoteEntry, options?: RequestOptions & { readonly onlyEmpty?: boolean }): Promise<void>;

  /**
   * Asks the service what changed. Reads at most one page of changes, and the objects that they name. Also reports changes
   * that `list` and other methods noticed since the last call. Present if `capabilities.changes` is true.
   */
  changes?(options?: RequestOptions): Promise<RemoteChanges>;

  /**
   * Brings the index from which `list` answers up to date with the service. Present if there is such an index, which `changes`
   * maintains. `changes` still reports what this call has found.
   */
  refreshIndex?(options?: RequestOptions): Promise<void>;

  /**
   * From now on, no list contains this version of the file, and it implies no folder. `read`, `stat` and `remove` of its id
   * still work. A later version is listed again. Present if files cannot be moved out of sight. `close` forgets it.
   */
  hide?(file: RemoteFile): void;

  /** Creates, shows or removes the link of an object. Rejects with `unsupported` if the documents have no such request. */
  link?(entry: RemoteEntry, wish: LinkRequest, options?: RequestOptions): Promise<RemoteLink>;

  /** All members of a folder. */
  members?(folder: RemoteFolder, options?: RequestOptions): Promise<Member[]>;

  /** Shares a folder with somebody, or changes the rights of a member. Resolves with the member as the service reports it now. */
  share?(folder: RemoteFolder, email: string, rights: MemberRights, options?: RequestOptions): Promise<Member>;

  /** The service's own search in the account: objects and where they are. */
  search?(query: string, options?: RequestOptions): Promise<PlacedEntry[]>;

  /**
   * Sends any request of the documents with the account's login and limits, and resolves with the answer, whatever its status. Rejects
   * with `ProviderError` if there is no answer, and for 401 and 429.
   */
  send?(request: ApiRequest, options?: RequestOptions): Promise<ApiAnswer>;

  metrics(): RequestMetrics;

  /** Throws `rate-limited` or `limit` if too few requests are left for the work. Present if the service counts requests. */
  assertBudget?(work: Work): void;

  /** Aborts all requests and closes all connections. */
  close(): Promise<void>;
}
