/**
 * How far to read ahead, as a pure function of what a handle has read so far.
 *
 * The window grows while access is sequential and collapses when it is not, as in the kernel's own read-ahead. A small
 * file is fetched whole at its first read: one request is cheaper than two.
 */

/** A file up to this size is fetched whole by its first read, bytes. Its transfer takes about as long as a round trip. */
export const WHOLE_FILE_BYTES = 1024 * 1024;
/** The first window, bytes: enough for a program that looks at a header (`exiftool`, `pdfinfo`, `head`), and little more. */
const FIRST_WINDOW = 512 * 1024;
/**
 * The kernel's first request when a program begins with reads of 64 KiB, bytes. With smaller reads it asks for 16 or 32 KiB. Programs that
 * look at a header mostly read less. A thumbnailer, or a program that copies, reads this much and then the rest.
 */
const STREAMING_READ = 128 * 1024;
/** Enough to keep 16 connections busy at 4 MiB each. The window is always full: a new request follows each one that was read. */
const MAX_WINDOW = 64 * 1024 * 1024;
/** Each window is this many times larger than the last: four steps, of one round trip each, from the first to the largest. */
const GROWTH = 4;
/**
 * Programs that look at a file's beginning (`ffprobe` reads 1 MiB, `file` 7) stop within windows up to this one, bytes. Such windows come
 * in few requests. Only a read beyond the last window begins the next one: until then, perhaps only the kernel reads ahead, by 1 MiB. A
 * file up to this size is fetched whole if a program seems to read it whole.
 */
const LOOK_WINDOW = 8 * 1024 * 1024;
/** The request size of these windows, bytes: two connections for the largest. */
const LOOK_REQUEST = 4 * 1024 * 1024;
/** If a file's first read is this long, the program reads 128 KiB or more at a time, as `cat` and `cp` do, and will go on. Bytes. */
const LARGE_READ = 256 * 1024;
/** The kernel's largest request, bytes. */
const LARGEST_READ = 1024 * 1024;
/** The kernel may send the reads of one stream out of order, by up to a few of its requests (1 MiB each). Bytes. */
const SLACK = 4 * 1024 * 1024;
/** The largest request, bytes. Larger ones save no time, and smaller ones use more connections. */
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
  /** The first bytes of `fetch` are for a program that has just begun. This many come at once, through the event loop. */
  readonly urgentBytes: number;
}

/** Plans for a read of `length` bytes at `offset` in a file of `size` bytes. `maxWindow`: the bytes that the cache can spare. */
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
    const state = { next: end, window: 0, requestedUntil: size };
    return { state, fetch: [0, size], requestBytes: WHOLE_FILE_BYTES, urgentBytes: WHOLE_FILE_BYTES };
  }
  if (offset === 0 && length >= STREAMING_READ && size <= Math.min(LOOK_WINDOW, read.maxWindow)) {
    const state = { next: end, window: LOOK_WINDOW, requestedUntil: size };
    return { state, fetch: [0, size], requestBytes: LOOK_REQUEST, urgentBytes: LOOK_REQUEST };
  }
  const isSequential = Math.abs(offset - state.next) <= (state.window > 0 ? SLACK : 0);
  // Programs that look at a file's beginning look at its end too.
  const isEnd = length >= LARGEST_READ && size - offset <= Math.min(LOOK_WINDOW, read.maxWindow);
  if (!isSequential && isEnd) {
    const state = { next: end, window: LOOK_WINDOW, requestedUntil: size };
    return { state, fetch: [offset, size], requestBytes: LOOK_REQUEST, urgentBytes: LOOK_REQUEST };
  }
  if (!isSequential || read.maxWindow < FIRST_WINDOW) {
    return nothing({ next: end, window: 0, requestedUntil: end });
  }
  const next = Math.max(end, state.next);
  if (state.window > 0 && isEnough(state, end, next)) {
    return nothing({ ...state, next });
  }
  const isFirst = state.window === 0;
  // A stream in the middle of a file shows only at its second read, and the kernel's requests grow with each read.
  const first = length >= (offset === 0 ? LARGE_READ : LARGEST_READ) ? LOOK_WINDOW : FIRST_WINDOW;
  // A program that reads on in a file of a few MiB reads all of it.
  const grown = size <= LOOK_WINDOW ? LOOK_WINDOW : state.window * GROWTH;
  const window = Math.min(isFirst ? first : grown, MAX_WINDOW, read.maxWindow);
  const requestBytes = requestBytesOf(window);
  // A small window includes the bytes of this read: one request brings both. A large one is received outside of the event loop, and later.
  const from = isFirst ? offset : Math.max(state.requestedUntil, window <= LOOK_WINDOW ? offset : end);
  const until = window <= LOOK_WINDOW ? Math.max(from + window, end) : next + window;
  // Whole requests, except for the last one of the file.
  const whole = window <= LOOK_WINDOW ? until : from + Math.floor((until - from) / requestBytes) * requestBytes;
  const to = until >= size ? size : whole;
  return {
    state: { next, window, requestedUntil: Math.max(to, from) },
    fetch: to > from ? [from, to] : null,
    requestBytes,
    urgentBytes: !isFirst ? 0 : length >= LARGEST_READ ? LOOK_REQUEST : FIRST_WINDOW,
  };
}

function nothing(state: ReadAheadState): ReadAheadPlan {
  return { state, fetch: null, requestBytes: MIN_REQUEST, urgentBytes: 0 };
}

/** Is enough requested already, after a read up to `end` whose successor is expected at `next`? */
function isEnough({ window, requestedUntil }: ReadAheadState, end: number, next: number): boolean {
  if (window <= LOOK_WINDOW) return end <= requestedUntil;
  // Refilling half of the largest window at once would send requests in waves: the link is idle while the last request of a wave ends.
  const least = window === MAX_WINDOW ? window - requestBytesOf(window) : window / 2;
  return requestedUntil - next > least;
}

function requestBytesOf(window: number): number {
  return window <= LOOK_WINDOW ? LOOK_REQUEST : Math.min(MAX_REQUEST, Math.max(MIN_REQUEST, window / 16));
}
