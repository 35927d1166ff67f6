/** The options of a 5sync sandbox: plan, speed, and which plausible reading of the document it follows. */
import type { StoredNames, ToldNames } from '../content/stored-names.js';
import type { Validator } from '../http/validator.js';
import { type WireReadings, wireReadings } from '../http/wire.js';
import { applyKnown, type CommonOptions, type Speed } from '../options.js';

export interface FiveSyncCredentials {
  apiKey: string;
}

/** Behaviour that the document leaves open. A client must work with every value. */
export interface FiveSyncReadings extends WireReadings {
  /** The `path` of `GET /files` and `/changes`, "filter by directory path": only that directory, or also everything below it. */
  pathFilter: 'exact' | 'recursive';
  /** The fields of a list's item: those of `GET /files/:id`, the same without `path`, or those of the PUT's answer. */
  listItems: 'full' | 'no-path' | 'brief';
  /** What happens to a `limit` above "max 100". */
  limitOver100: 'refused' | 'clamped';
  /** "For files larger than 100 MB, use the Multipart Upload endpoint instead": how the simple endpoint refuses them. */
  tooLarge: '400' | '413';
  /** Whether a file may be empty. */
  emptyContent: 'stored' | 'refused';
  /**
   * A PUT of an existing name makes a new version, replaces the file by one with another id, makes a second file, gives the
   * new one another name, or is refused with that status.
   */
  existingName: 'new-version' | 'new-id' | 'duplicate' | 'renamed' | '409' | '400' | '403';
  /** "order_by: Sort field": in which direction. */
  order: 'ascending' | 'descending';
  /** Items of the largest page: "max 100", or fewer. */
  maxLimit: 100 | 50;
  /** Whether downloads redirect (302), to another address of the same host. */
  downloadRedirect: boolean;
  /** The media type of `init`'s parameters, which the document does not name. */
  initBody: 'both' | 'json' | 'form' | 'query';
  /** The destination of an upload, which `init` does not document: the root, a path inside `filename`, or a field `path`. */
  multipartPath: 'field' | 'filename' | 'root';
  /** `chunk_size` follows from size and `parts`. Or it is always the same, and `parts` must follow from it. */
  chunkSize: 'from-parts' | 'fixed';
  /** The answer to `complete` of a completed upload: 404, or the same answer again. */
  completeAgain: 'gone' | 'repeats';
  /** How a download answers `Range`, which the document does not mention. */
  range: '206' | 'ignored';
  /** Which header of a download identifies the version. */
  validator: Validator;
  /**
   * How `/changes` treats a parameter `cursor`, which is documented only in its answer: ignored, accepted, or refused as
   * unknown.
   */
  cursor: 'ignored' | 'usable' | 'refused';
  /** Whether the changes include an event at exactly `since`. */
  since: 'inclusive' | 'exclusive';
  /** The resolution of times: as in the document's examples, or finer. */
  timestamps: 'seconds' | 'milliseconds';
  /** The delay with which events appear in the feed. */
  changesLagSeconds: number;
  /** How far the server's clock is ahead of ours. */
  clockSkewSeconds: number;
  /** X-RateLimit-Reset of a rolling window: when the next request is possible, or when all requests are available again. */
  rateReset: 'next' | 'whole';
  /** Whether a 429 carries Retry-After too. */
  retryAfter: boolean;
  /** Whether the service changes names that it does not like, without a word. */
  storedNames: StoredNames;
  /** Whether the answer to such a change tells the name. */
  toldNames: ToldNames;
}

export const fiveSyncReadings: FiveSyncReadings = {
  ...wireReadings,
  pathFilter: 'exact',
  listItems: 'full',
  limitOver100: 'refused',
  tooLarge: '400',
  emptyContent: 'stored',
  existingName: 'new-version',
  order: 'ascending',
  maxLimit: 100,
  downloadRedirect: false,
  initBody: 'both',
  multipartPath: 'field',
  chunkSize: 'from-parts',
  completeAgain: 'gone',
  range: '206',
  validator: 'etag',
  cursor: 'ignored',
  since: 'inclusive',
  timestamps: 'seconds',
  changesLagSeconds: 0,
  clockSkewSeconds: 0,
  rateReset: 'next',
  retryAfter: false,
  storedNames: 'asked',
  toldNames: 'kept',
};

/** "Plan, Requests / Hour" */
export const fiveSyncPlans = { starter: 60, plus: 600, business: 6000 } as const;

export interface FiveSyncSettings extends Speed {
  /** The document names no quota. Beyond this an upload is 403 forbidden. */
  quotaBytes: number;
  /** Requests of one key in a rolling window. 0: unlimited, and the headers show the Business plan. */
  requestsPerHour: number;
  windowSeconds: number;
  /** "For files larger than 100 MB" may be decimal or binary. The smaller value is the stricter. */
  simpleUploadLimit: number;
  /** The `chunk_size` under the reading `fixed`. */
  chunkSize: number;
  mostParts: number;
  /** One hour in the document's example. */
  uploadLifetimeSeconds: number;
  eventsPerAnswer: number;
  /** `read-only`: "API key does not have permission for this action". */
  keyPermission: 'full' | 'read-only';
}

const defaultSettings: FiveSyncSettings = {
  latencyMs: 0,
  bandwidth: 0,
  quotaBytes: 1024 ** 4,
  requestsPerHour: fiveSyncPlans.business,
  windowSeconds: 3600,
  simpleUploadLimit: 100 * 1000 * 1000,
  chunkSize: 5_242_880,
  mostParts: 10_000,
  uploadLifetimeSeconds: 3600,
  eventsPerAnswer: 100,
  keyPermission: 'full',
};

export interface FiveSyncOptions extends CommonOptions, Partial<FiveSyncSettings> {
  provider: '5sync';
  /** Sets `requestsPerHour`. */
  plan?: keyof typeof fiveSyncPlans;
  readings?: Partial<FiveSyncReadings>;
  credentials?: FiveSyncCredentials;
}

export function fiveSyncSettings(options: FiveSyncOptions): FiveSyncSettings {
  const plan = options.plan ? { requestsPerHour: fiveSyncPlans[options.plan] } : {};
  return applyKnown({ ...defaultSettings, ...plan }, options);
}
