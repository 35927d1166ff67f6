/**
 * Positional file I/O on plain descriptors: the whole of a range or an error, never a short count.
 * (FileHandle would do, at several times the cost per call.)
 */
import { read, write } from 'node:fs';

/** Reads into all of `into` from `position`; answers fewer bytes only at the end of the file. */
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
export function writeAt(fd: number, data: Uint8Array, position: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let done = 0;
    const step = (): void => {
      write(fd, data, done, data.length - done, position + done, (error, count) => {
        if (error) return reject(error);
        done += count;
        if (done === data.length) resolve();
        else step();
      });
    };
    step();
  });
}
