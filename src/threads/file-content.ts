/** Reads the body of a request from the file that contains it. */
import { readSync } from 'node:fs';
import type { Content } from '../providers/http/transport/wire.js';
import type { ThreadContent } from './exchange-messages.js';

/** Bytes read at a time: large enough for the disk, small enough that a slow line shows progress. */
const CHUNK = 256 * 1024;

/** Spare chunks. Memory that a process has not used yet costs the kernel more than the copy that fills it. */
const spare: Buffer[] = [];
/** As many uploads as run at once by default. */
const MAX_SPARE = 4;

/** Each `open` reads from the beginning. It throws if the file is too short. */
export function contentFrom(content: ThreadContent, onProgress: (sent: number) => void): Content {
  const { fd, head, offset, length, tail } = content;
  return {
    size: sizeOf(content),
    reusesMemory: true,
    async *open() {
      if (head.length > 0) yield head;
      const memory = spare.pop() ?? Buffer.allocUnsafeSlow(CHUNK);
      let at = offset;
      for (; at + CHUNK <= offset + length; at += CHUNK) yield fill(memory, fd, at);
      // The last part has its own memory: it may be so short that its reader does not wait for it to be sent.
      if (at < offset + length) yield fill(Buffer.allocUnsafeSlow(offset + length - at), fd, at);
      if (tail.length > 0) yield tail;
      // Not reached if the reader leaves early: the socket may still use the memory then.
      if (spare.length < MAX_SPARE) spare.push(memory);
    },
    onProgress,
  };
}

/** Blocks, as this thread may. The content was written lately, so it mostly comes from the page cache. */
function fill(into: Buffer, fd: number, position: number): Buffer {
  for (let done = 0; done < into.length; ) {
    const count = readSync(fd, into, done, into.length - done, position + done);
    if (count === 0) throw new Error('the file with the content to upload is shorter than the content');
    done += count;
  }
  return into;
}

/** Bytes. */
export function sizeOf({ head, length, tail }: ThreadContent): number {
  return head.length + length + tail.length;
}
