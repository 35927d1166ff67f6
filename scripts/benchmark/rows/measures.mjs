// Units and calculations that several rows use.
export const MIB = 1024 * 1024;

/** Seconds of CPU between two results of a contender's `cpu`. Null if it has none. */
export const spent = (now, begin) =>
  now === null || begin === null ? null : { all: now.all - begin.all, main: now.main - begin.main };

/** The same for each GiB of `bytes`. */
export function perGib(now, begin, bytes) {
  const cpu = spent(now, begin);
  const gib = bytes / (1024 * MIB);
  return cpu === null ? null : { all: cpu.all / gib, main: cpu.main / gib };
}

/** MB/s. */
export const speed = ({ seconds }, bytes) => bytes / 1e6 / seconds;

export async function seconds(act) {
  const begin = performance.now();
  await act();
  return (performance.now() - begin) / 1000;
}
