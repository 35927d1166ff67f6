/**
 * Reads the modification time of a utimens call, which fuse-native does not pass on.
 *
 * Its C code reads both times of utimens(2) into the calling thread's `fuse_thread_locals_t`, but then passes the access
 * time twice. Every handler gets that struct in a Buffer as its first argument, so we read the modification time from
 * there. If the struct does not look as expected, we use the access time for both.
 */

/**
 * Offset of `atime` in `fuse_thread_locals_t` (fuse-native.c 2.2.6), `mtime` follows 8 bytes later. On Linux with 64-bit
 * pointers: self 0, op 8, op_fn 16, path 24, dest 32, linkname 40, info 48, buf 56, offset 64, len 72, mode 80 (4 bytes),
 * dev 88, uid 96, gid 100, atime 104. On macOS mode_t has 2 bytes and dev_t 4, so the later offsets are 8 lower.
 */
const atimeOffsets: Readonly<Record<string, number>> = { linux: 104, darwin: 96 };

export interface Times {
  /** Milliseconds since the epoch; negative before it. */
  readonly atimeMs: number;
  readonly mtimeMs: number;
}

/** `reportedMs` is the number that fuse-native passed for both times (unsigned 64 bits, so huge before 1970). */
export function readTimes(locals: Buffer | undefined, reportedMs: number, platform: string = process.platform): Times {
  const offset = atimeOffsets[platform];
  if (offset === undefined || locals === undefined || locals.length < offset + 16)
    return { atimeMs: reportedMs, mtimeMs: reportedMs };
  // If the access time is at its offset, the struct is the one described above.
  if (Number(locals.readBigUInt64LE(offset)) !== reportedMs) return { atimeMs: reportedMs, mtimeMs: reportedMs };
  return { atimeMs: Number(locals.readBigInt64LE(offset)), mtimeMs: Number(locals.readBigInt64LE(offset + 8)) };
}
