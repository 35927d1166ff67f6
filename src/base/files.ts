/**
 * Positional file I/O on plain descriptors: the whole range or an error, never a short count before the end of the file.
 * (FileHandle costs several times as much per call.)
 */
import { read, readSync, write, writeSync } from 'node:fs';

/**
 * Up to this many bytes are copied from or to the page cache on the event loop, which takes some microseconds. A thread would take a
 * quarter of a millisecond if a processor must be woken, and work on small files consists of such steps.
 */
const SMALL_BYTES = 64 * 1024;

/** `readAt` for recently written bytes: they are in the page cache, so a small read does not wait for the disk. */
export async function readRecentAt(fd: number, into: Uint8Array, position: number): Promise<number> {
  if (into.length > SMALL_BYTES) return readAt(fd, into, position);
  for (let done = 0; done < into.length; ) {
    const count = readSync(fd, into, done, into.length - done, position + done);
    if (count === 0) return done;
    done += count;
  }
  return into.length;
}

/** Fills `into` from `position`. Returns the number of bytes, fewer only at the end of the file. */
export function readAt(fd: number, into: Uint8Array, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    let done = 0;
    const step = (): void => {
      read(fd, into, done, into.length - done, position + done, (error, count) => {
        if (error) return reject(error);
        done += count;
        if (count === 0 || done === into.length) resolve(done);
        else step();
      });
    };
    step();
  });
}

/** Writes all of `data` at `position`. */
export async function writeAt(fd: number, data: Uint8Array, position: number): Promise<void> {
  if (data.length <= SMALL_BYTES) {
    for (let done = 0; done < data.length; ) done += writeSync(fd, data, done, data.length - done, position + done);
    return;
  }
  await new Promise((resolve, reject) => {
    let done = 0;
    const step = (): void => {
      write(fd, data, done, data.length - done, position + done, (error, count) => {
        if (error) return reject(error);
        done += count;
        if (done === data.length) resolve(undefined);
        else step();
      });
    };
    step();
  });
}
