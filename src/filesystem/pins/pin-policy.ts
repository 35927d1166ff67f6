/** Pure functions: when the background work for pins continues after a failure, and how often pinned folders are listed again. */

/** The first pause after a failure, ms; each further one in a row is twice as long. */
const FIRST_PAUSE_MS = 5_000;
/** The longest pause of all work, ms: a service that answers again is noticed within it. */
const MAX_PAUSE_MS = 5 * 60_000;
/** The first pause for a single object, ms: a fault of one file seldom passes at once. */
const FIRST_DELAY_MS = 60_000;
const MAX_DELAY_MS = 60 * 60_000;
/** Shortest time between two listings of pinned folders, ms: at most 720 requests an hour, whatever the number of folders. */
const LISTING_EVERY_MS = 5_000;

export interface Failure {
  /** Of a `ProviderError` or `SyncmountError`; undefined for any other error. */
  readonly code: string | undefined;
  /** How long the service says that it refuses, ms. */
  readonly retryAfterMs: number | undefined;
  /** How often the same object has failed in a row, this time included. */
  readonly failures: number;
  /** How often anything has failed since the last success, this time included. */
  readonly inARow: number;
}

export interface AfterFailure {
  /** How long all work stops, ms; 0: it goes on. */
  readonly pauseMs: number;
  /** How long until the object is tried again, ms. */
  readonly delayMs: number;
  /** The known state of the object is out of date: its folder must be listed. */
  readonly relist: boolean;
}

export function afterFailure({ code, retryAfterMs, failures, inARow }: Failure): AfterFailure {
  switch (code) {
    case 'rate-limited':
      return { pauseMs: retryAfterMs ?? doubled(FIRST_PAUSE_MS, inARow, MAX_PAUSE_MS), delayMs: 0, relist: false };
    // The service is out of reach, or refuses everything: other jobs would fail too.
    case 'network':
    case 'timeout':
    case 'server':
    case 'auth':
    case 'protocol':
      return { pauseMs: doubled(FIRST_PAUSE_MS, inARow, MAX_PAUSE_MS), delayMs: 0, relist: false };
    case 'aborted':
      return { pauseMs: 0, delayMs: FIRST_PAUSE_MS, relist: false };
    case 'not-found':
    case 'revision-changed':
      return { pauseMs: 0, delayMs: doubled(FIRST_DELAY_MS, failures, MAX_DELAY_MS), relist: true };
    // The service was not asked, and another look at the disk costs little.
    case 'ENOSPC':
      return { pauseMs: 0, delayMs: FIRST_DELAY_MS, relist: false };
    default:
      return { pauseMs: 0, delayMs: doubled(FIRST_DELAY_MS, failures, MAX_DELAY_MS), relist: false };
  }
}

/**
 * How long to wait between two listings, ms, if the service has no feed of changes. Pinned folders are then listed one after the other.
 * Each comes again after `ttl` (ms), as for a program that looks, but later if there are many.
 */
export function listingPauseMs(folders: number, ttl: number): number {
  return Math.max(LISTING_EVERY_MS, folders === 0 ? ttl : ttl / folders);
}

/** `first` × 2^(times − 1), at most `most`. */
function doubled(first: number, times: number, most: number): number {
  return Math.min(most, first * 2 ** Math.min(30, Math.max(0, times - 1)));
}
