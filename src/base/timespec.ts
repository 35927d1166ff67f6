/** A time in the kernel's form. One double cannot hold nanoseconds since 1970, but two can. */
export interface Timespec {
  /** Seconds since the epoch; may be negative. */
  readonly sec: number;
  /** 0 … 999,999,999 */
  readonly nsec: number;
}

/** From milliseconds since the epoch. */
export function fromMs(ms: number): Timespec {
  const sec = Math.floor(ms / 1000);
  return { sec, nsec: Math.floor((ms - sec * 1000) * 1e6) };
}

/** To milliseconds since the epoch. Fractions of a microsecond are lost. */
export function toMs(time: Timespec): number {
  return time.sec * 1000 + time.nsec / 1e6;
}

/** `now`, or a nanosecond after `last` if the clock has not advanced since, so that two changes never have the same time. */
export function strictlyAfter(last: Timespec | null, now: Timespec): Timespec {
  // If `last` is far ahead, a program or a wrong clock has set it.
  if (last === null || isBefore(last, now) || toMs(last) - toMs(now) >= 1) return now;
  return last.nsec === 999_999_999 ? { sec: last.sec + 1, nsec: 0 } : { sec: last.sec, nsec: last.nsec + 1 };
}

export function isBefore(a: Timespec, b: Timespec): boolean {
  return a.sec < b.sec || (a.sec === b.sec && a.nsec < b.nsec);
}
