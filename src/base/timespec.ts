/** A time as the kernel has it: a double cannot hold nanoseconds since 1970, two of them can. */
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

/** To milliseconds since the epoch; what is below a microsecond is lost. */
export function toMs(time: Timespec): number {
  return time.sec * 1000 + time.nsec / 1e6;
}

export function isBefore(a: Timespec, b: Timespec): boolean {
  return a.sec < b.sec || (a.sec === b.sec && a.nsec < b.nsec);
}
