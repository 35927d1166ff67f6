/** The options of a 4shared or 4Sync sandbox: size, speed, and which plausible reading of the documents it follows. */
import type { StoredNames, ToldNames } from '../content/stored-names.js';
import type { Validator } from '../http/validator.js';
import { type WireReadings, wireReadings } from '../http/wire.js';
import { applyKnown, type CommonOptions, type FourSharedName, type Speed } from '../options.js';

/** A consumer (application) and the access token of the sandbox's one user. */
export interface SandboxCredentials {
  consumerKey: string;
  consumerSecret: string;
  token: string;
  tokenSecret: string;
}

/** Behaviour on which the documents are silent or contradict themselves. A client must work with every value. */
export interface Readings extends WireReadings {
  /** GET requests of folders are headed `/folders/{id}…`, and their URLs are `/folder/{id}…`: which of the two is served. */
  folderPaths: 'both' | 'folder' | 'folders';
  /** "GET /upload/{id}" is the heading, and `/upload/{id}/status` the URL: which of the two is served. */
  statusPath: 'both' | 'status' | 'bare';
  /** `GET /folder/{id}/children` "RETURNS FolderResponse": an object with `folders`, or a bare array. */
  childrenShape: 'object' | 'array';
  /** A `Range` download: 206, or 200 with the part (as the document says literally), or Range ignored: 200 and everything. */
  rangeAnswer: '206' | '200' | 'ignored';
  /** Which header of a download identifies the version. */
  validator: Validator;
  /** Whether downloads redirect (302) to another origin. An Authorization header there is refused and recorded. */
  downloadRedirect: boolean;
  /** The answer to a chunk that is not the last. */
  chunkStatus: 308 | 200 | 201 | 202;
  /** Whether chunks may come in any order or only one after the other. */
  chunkOrder: 'any' | 'sequential';
  /** Whether the bytes of a chunk whose connection broke count as stored. */
  partialChunks: 'discarded' | 'kept';
  /** Whether the 201 for the last chunk carries the FileResponse. */
  completedBody: 'empty' | 'file';
  /** The answer to a chunk that is sent again after completion: 201 or 404. */
  chunkAfterCompletion: 'created' | 'gone';
  /** `POST /upload` with an existing name: 403.0201, or a new version of that file under its old id. */
  uploadExistingName: 'conflict' | 'new-version';
  /** Whether `POST /upload` takes files that `POST /files` could take as well (else 403.0225). */
  uploadMinimum: 'any' | 'over-limit';
  /** Whether files with status `incomplete` appear in listings. */
  incompleteListed: boolean;
  /** Whether an incomplete file already occupies its name. */
  incompleteHoldsName: boolean;
  /** Whether a file may be empty. */
  emptyContent: 'stored' | 'refused';
  /** `PUT /files/{id}` with content lists folderId and fileName as required. Whether the server refuses a request without them. */
  updateRequiresNames: boolean;
  /** Whether a different folderId moves the file, and a different fileName renames it. */
  updateNames: 'apply' | 'ignore';
  /** Move "creates a copy and deletes the original". Whether the file keeps its id. */
  moveKeepsId: boolean;
  /** Whether a rename or a move sets `modified`. */
  renameChangesModified: boolean;
  /** Whether adding or removing an entry sets the folder's `modified`. */
  contentChangesFolderModified: boolean;
  /** Whether DELETE removes for ever or moves to the trash. */
  deleteGoesTo: 'nowhere' | 'trash';
  /** `numFiles` and `numChildren`: correct, from before the folder's latest change, or always 0. */
  counts: 'exact' | 'lagging' | 'zero';
  /** `md5`: at once, null in the answer to the upload but there afterwards, or always null. */
  md5: 'immediate' | 'after-upload' | 'never';
  /** `/user/files` is "ordered by the upload date". */
  userFilesOrder: 'oldest-first' | 'newest-first';
  /** `/user/trash` names no parameters: the whole list, or pages like everywhere else. */
  trashPaging: 'whole' | 'paged';
  nameCase: 'sensitive' | 'insensitive';
  /** Whether the login sends a verifier back (OAuth 1.0a) or not (OAuth 1.0). */
  verifier: 'used' | 'unused';
  /** Whether `/oauth/authorize` grants at once, without a page with a button. */
  autoApprove: boolean;
  /** Whether the service changes names that it does not like, without a word. */
  storedNames: StoredNames;
  /** Whether the answer to such a change tells the name. */
  toldNames: ToldNames;
}

export const defaultReadings: Readings = {
  ...wireReadings,
  folderPaths: 'both',
  statusPath: 'both',
  childrenShape: 'object',
  rangeAnswer: '206',
  validator: 'etag',
  downloadRedirect: false,
  chunkStatus: 308,
  chunkOrder: 'any',
  partialChunks: 'discarded',
  completedBody: 'empty',
  chunkAfterCompletion: 'created',
  uploadExistingName: 'conflict',
  uploadMinimum: 'any',
  incompleteListed: true,
  incompleteHoldsName: true,
  updateRequiresNames: true,
  emptyContent: 'stored',
  updateNames: 'apply',
  moveKeepsId: true,
  renameChangesModified: false,
  contentChangesFolderModified: true,
  deleteGoesTo: 'nowhere',
  counts: 'exact',
  md5: 'immediate',
  userFilesOrder: 'newest-first',
  trashPaging: 'whole',
  nameCase: 'sensitive',
  verifier: 'used',
  autoApprove: false,
  storedNames: 'asked',
  toldNames: 'kept',
};

/** 429.0107 "Just [max_number_of_calls] per [time_range]". */
export interface RateLimit {
  requests: number;
  seconds: number;
  /** Whether the refusal carries Retry-After; default true. */
  retryAfter?: boolean;
}

/** The limits behind 403.0102 to 403.0105. */
export interface CountLimits {
  filesInFolder?: number;
  files?: number;
  nestedFolders?: number;
  folders?: number;
}

/** The settings that can be changed while the sandbox runs. */
export interface Settings extends Speed {
  quotaBytes: number;
  uploadSizeLimit: number;
  /** Largest body of `POST /files` and `PUT /files/{id}`. */
  simpleUploadLimit: number;
  /** The largest clock difference. Beyond it: 401.0319. */
  timestampSkewSeconds: number;
  limits: CountLimits;
  rateLimit: RateLimit | null;
}

export const defaultSettings: Settings = {
  latencyMs: 0,
  bandwidth: 0,
  // The values in the documents' example of a UserResponse.
  quotaBytes: 16_106_127_360,
  uploadSizeLimit: 2_147_483_648,
  // "150 MB" may be decimal or binary. The smaller value is the stricter.
  simpleUploadLimit: 150 * 1000 * 1000,
  timestampSkewSeconds: 300,
  limits: {},
  rateLimit: null,
};

/** The upload host listens on the port after the api's, the download host on the one after that. */
export interface SandboxOptions extends CommonOptions, Partial<Settings> {
  provider?: FourSharedName;
  readings?: Partial<Readings>;
  credentials?: SandboxCredentials;
}

/** Picks the settings out of the options. Others have their defaults. */
export function settingsFrom(options: SandboxOptions): Settings {
  return applyKnown({ ...defaultSettings }, options);
}
