/**
 * How far to read ahead, as a pure function of what a handle has read so far.
 *
 * The window grows while access is sequential and collapses when it is not, as in the kernel's own read-ahead. A small
 * file is fetched whole at its first read: one request is cheaper than two.
 */

/** A file up to this size is fetched whole by its first read, bytes. A round trip costs about as much. */
export const WHOLE_FILE_BYTES = 1024 * 1024;
/** The first window, bytes: what `file`, a thumbnailer or `head` wants, and little more. */
const FIRST_WINDOW = 512 * 1024;
/** Enough to keep 16 connections busy at 4 MiB each. It is always full: a request that is used up is followed by another. */
const MAX_WINDOW = 64 * 1024 * 1024;
/** Each window is larger than the last by this factor: from the first to the largest in four steps, one round trip each. */
const GROWTH = 4;
/**
 * Programs that look at a file's beginning (`file` reads 7 MiB) end within the windows up to this one, bytes. They come in few requests,
 * and the next one is begun late: by then it is likely that the whole file is read.
 */
const LOOK_WINDOW = 8 * 1024 * 1024;
/** The request size of these windows, bytes: two connections for the largest. */
const LOOK_REQUEST = 4 * 1024 * 1024;
/** The kernel's largest request, bytes. Where a stream begins with one, the program reads so much at a time and goes on. */
const LARGE_READ = 1024 * 1024;
/** The kernel may send the reads of one stream out of order, by up to a few of its requests (1 MiB each). Bytes. */
const SLACK = 4 * 1024 * 1024;
/** The largest request, bytes: larger ones save no time, smaller ones spread over more connections. */
const MAX_REQUEST = 8 * 1024 * 1024;
const MIN_REQUEST = 512 * 1024;

export interface ReadAheadState {
  /** The offset at which the next read of the stream is expected. */
  readonly next: number;
  /** Bytes; 0: access is not sequential. */
  readonly window: number;
  /** Every byte of the stream before this offset has been requested. */
  readonly requestedUntil: number;
}

export const noReadAhead: ReadAheadState = { next: 0, window: 0, requestedUntil: 0 };

export interface ReadAheadPlan {
  readonly state: ReadAheadState;
  /** `[from, to)` to fetch besides what was read, or null. */
  readonly fetch: readonly [number, number] | null;
  /** Largest single request for it, bytes. */
  readonly requestBytes: number;
}

/** A read of `length` bytes at `offset` in a file of `size` bytes; `maxWindow` is what the cache can spare. */
export function planReadAhead(
  state: ReadAheadState,
  read: { readonly offset: number; readonly length: number; readonly size: number; readonly maxWindow: number },
): ReadAheadPlan {
  const { offset, length, size } = read;
  const end = Math.min(offset + length, size);
  if (
    (offset === 0 || state.requestedUntil === 0) &&
    size <= WHOLE_FILE_BYTES &&
    (size <= read.maxWindow || end === size)
  ) {
    return { state: { next: end, window: 0, requestedUntil: size }, fetch: [0, size], requestBytes: WHOLE_FILE_BYTES };
  }
  const isSequential = Math.abs(offset - state.next) <= (state.window > 0 ? SLACK : 0);
  // Programs that look at a file's beginning look at its end too.
  const isEnd = length >= LARGE_READ && size - offset <= Math.min(LOOK_WINDOW, read.maxWindow);
  if (!isSequential && isEnd) {
    const state = { next: end, window: LOOK_WINDOW, requestedUntil: size };
    return { state, fetch: [offset, size], requestBytes: LOOK_REQUEST };
  }
  if (!isSequential || read.maxWindow < FIRST_WINDOW) {
    return { state: { next: end, window: 0, requestedUntil: end }, fetch: null, requestBytes: MIN_REQUEST };
  }
  const next = Math.max(end, state.next);
  if (state.window > 0 && isEnough(state, offset, next)) {
    return { state: { ...state, next }, fetch: null, requestBytes: MIN_REQUEST };
  }
  const isFirst = state.window === 0;
  const isLarge = length >= LARGE_READ;
  const wanted = isFirst ? (isLarge ? LOOK_WINDOW : FIRST_WINDOW) : state.window * GROWTH;
  const window = Math.min(wanted, MAX_WINDOW, read.maxWindow);
  // The first window includes what is read now: one request brings both.
  const from = isFirst ? offset : Math.max(state.requestedUntil, end);
  const requestBytes = requestBytesOf(window);
  const until = isFirst && isLarge ? offset + window : next + window;
  // Whole requests, but for the last of the file.
  const whole = window === MAX_WINDOW ? from + Math.floor((until - from) / requestBytes) * requestBytes : until;
  const to = until >= size ? size : whole;
  return {
    state: { next, window, requestedUntil: Math.max(to, from) },
    fetch: to > from ? [from, to] : null,
    requestBytes,
  };
}

/** Whether so much is requested before a read at `offset`, after which the next one is expected at `next`, that none is to be added. */
function isEnough({ window, requestedUntil }: ReadAheadState, offset: number, next: number): boolean {
  // After a look, the kernel's own read-ahead says nothing yet.
  if (window === LOOK_WINDOW) return offset < requestedUntil;
  // Half of the largest window would be a wave of requests that wait for each other's last: the line is idle meanwhile.
  const least = window === MAX_WINDOW ? window - requestBytesOf(window) : window / 2;
  return requestedUntil - next > least;
}

function requestBytesOf(window: number): number {
  return window <= LOOK_WINDOW ? LOOK_REQUEST : Math.min(MAX_REQUEST, Math.max(MIN_REQUEST, window / 16));
}
