/** What a sandbox of 5sync can be told: its plan, its speed, and which plausible readings of the document it follows. */
import type { Validator } from '../http/validator.js';
import { applyKnown, type CommonOptions, type Speed } from '../options.js';

export interface FiveSyncCredentials {
  apiKey: string;
}

/** Where the document is silent; a client must work under every value. */
export interface FiveSyncReadings {
  /** The `path` of `GET /files` and `/changes`, "filter by directory path": that directory alone, or what is below it too. */
  pathFilter: 'exact' | 'recursive';
  /** What an item of the list holds: all of `GET /files/:id`, that without `path`, or what the PUT's answer holds. */
  listItems: 'full' | 'no-path' | 'brief';
  /** A `limit` over "max 100". */
  limitOver100: 'refused' | 'clamped';
  /** "For files larger than 100 MB, use the Multipart Upload endpoint instead": how the simple one refuses them. */
  tooLarge: '400' | '413';
  /** Putting a name that exists: its next version, another id in its place, or a second file of that name. */
  existingName: 'new-version' | 'new-id' | 'duplicate';
  /** `init` names no media type for its parameters. */
  initBody: 'both' | 'json' | 'form';
  /** `init` names no destination: everything lands in the root, a path inside `filename` counts, or a field `path`. */
  multipartPath: 'field' | 'filename' | 'root';
  /** `chunk_size` follows from size and parts, or is always the same, so that `parts` has to follow from it. */
  chunkSize: 'from-parts' | 'fixed';
  /** `complete` of an upload that is complete: 404, or the same answer again. */
  completeAgain: 'gone' | 'repeats';
  /** A `Range` download, which the document does not mention. */
  range: '206' | 'ignored';
  /** What a download says of the version that it is of. */
  validator: Validator;
  /** The `cursor` of `/changes`, which no parameter takes: without effect, taken, or refused like other unknown parameters. */
  cursor: 'ignored' | 'usable' | 'refused';
  /** Whether an event of the very time `since` is among the changes. */
  since: 'inclusive' | 'exclusive';
  /** As fine as the document's examples, or finer. */
  timestamps: 'seconds' | 'milliseconds';
  /** Events show up in the feed so much later than they happened. */
  changesLagSeconds: number;
  /** How far the server's clock is ahead of ours. */
  clockSkewSeconds: number;
  /** X-RateLimit-Reset of a rolling window: when the next request is freed, or when all are. */
  rateReset: 'next' | 'whole';
  /** Whether a 429 carries Retry-After too. */
  retryAfter: boolean;
}

export const fiveSyncReadings: FiveSyncReadings = {
  pathFilter: 'exact',
  listItems: 'full',
  limitOver100: 'refused',
  tooLarge: '400',
  existingName: 'new-version',
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
};

/** "Plan, Requests / Hour" */
export const fiveSyncPlans = { starter: 60, plus: 600, business: 6000 } as const;

export interface FiveSyncSettings extends Speed {
  /** The document names no quota; beyond this an upload is 403 forbidden. */
  quotaBytes: number;
  /** Requests of one key in a rolling window; 0 is unlimited, and then the headers speak of the Business plan. */
  requestsPerHour: number;
  windowSeconds: number;
  /** "For files larger than 100 MB": decimal or binary; the smaller is the stricter. */
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
