/**
 * How far to read ahead, as a pure function of what a handle has read so far.
 *
 * The window grows while access is sequential and collapses when it is not, as in the kernel's own read-ahead. A small
 * file is fetched whole at its first read: one request is cheaper than two.
 */

/** A file up to this size is fetched whole by its first read, bytes. A round trip costs about as much. */
export const WHOLE_FILE_BYTES = 1024 * 1024;
/** The first window, bytes: what a look at a header wants (`exiftool`, `pdfinfo`, `head`), and little more. */
const FIRST_WINDOW = 512 * 1024;
/**
 * The kernel asks for so much when a program begins with reads of 64 KiB, bytes; 16 or 32 KiB where it reads less. Programs that look at a
 * header mostly read less; a thumbnailer, or who copies, reads so much and then the rest.
 */
const STREAMING_READ = 128 * 1024;
/** Enough to keep 16 connections busy at 4 MiB each. It is always full: a request that is used up is followed by another. */
const MAX_WINDOW = 64 * 1024 * 1024;
/** Each window is larger than the last by this factor: from the first to the largest in four steps, one round trip each. */
const GROWTH = 4;
/**
 * Programs that look at a file's beginning (`ffprobe` reads a MiB, `file` 7) end within the windows up to this one, bytes. They come in few
 * requests, and the next one is begun only by a read that goes beyond the last: before that, it may be the kernel alone who reads ahead, by
 * a MiB. A file up to this size comes whole where a program seems to read it whole.
 */
const LOOK_WINDOW = 8 * 1024 * 1024;
/** The request size of these windows, bytes: two connections for the largest. */
const LOOK_REQUEST = 4 * 1024 * 1024;
/** Where a file's first read is so long, the program reads 128 KiB or more at a time, as `cat` and `cp` do, and goes on. Bytes. */
const LARGE_READ = 256 * 1024;
/** The kernel's largest request, bytes. */
const LARGEST_READ = 1024 * 1024;
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
  /** Of `fetch`, so many bytes at its beginning are for a program that has just begun: they come at once, through the event loop. */
  readonly urgentBytes: number;
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
  // Elsewhere the kernel may have begun with less before we could see that it is a stream, and asks for more each time.
  const first = length >= (offset === 0 ? LARGE_READ : LARGEST_READ) ? LOOK_WINDOW : FIRST_WINDOW;
  // Whoever reads on in a file of few MiB reads all of it.
  const grown = size <= LOOK_WINDOW ? LOOK_WINDOW : state.window * GROWTH;
  const window = Math.min(isFirst ? first : grown, MAX_WINDOW, read.maxWindow);
  const requestBytes = requestBytesOf(window);
  // A small window includes what is read now: one request brings both. A large one is received beside the event loop, where it takes longer.
  const from = isFirst ? offset : Math.max(state.requestedUntil, window <= LOOK_WINDOW ? offset : end);
  const until = window <= LOOK_WINDOW ? Math.max(from + window, end) : next + window;
  // Whole requests, but for the last of the file.
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

/** Whether so much is requested that a read up to `end`, after which the next one is expected at `next`, adds nothing. */
function isEnough({ window, requestedUntil }: ReadAheadState, end: number, next: number): boolean {
  if (window <= LOOK_WINDOW) return end <= requestedUntil;
  // Half of the largest window would be a wave of requests that wait for each other's last: the line is idle meanwhile.
  const least = window === MAX_WINDOW ? window - requestBytesOf(window) : window / 2;
  return requestedUntil - next > least;
}

function requestBytesOf(window: number): number {
  return window <= LOOK_WINDOW ? LOOK_REQUEST : Math.min(MAX_REQUEST, Math.max(MIN_REQUEST, window / 16));
}
