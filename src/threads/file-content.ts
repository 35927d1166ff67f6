/** Reads what a request sends from the file that it lies in. */
import { read } from 'node:fs';
import { promisify } from 'node:util';
import type { Content } from '../providers/http/transport/wire.js';
import type { ThreadContent } from './exchange-messages.js';

/** Bytes read at a time: large enough for the disk, small enough that a slow line moves within each. */
const CHUNK = 256 * 1024;

const readFile = promisify(read);

/** Each `open` reads from the beginning. It throws where the file is too short. */
export function contentFrom(content: ThreadContent, onProgress: (sent: number) => void): Content {
  const { fd, head, offset, length, tail } = content;
  return {
    size: sizeOf(content),
    async *open() {
      if (head.length > 0) yield head;
      for (let at = offset; at < offset + length; ) {
        const chunk = Buffer.allocUnsafe(Math.min(CHUNK, offset + length - at));
        const { bytesRead } = await readFile(fd, chunk, 0, chunk.length, at);
        if (bytesRead === 0) throw new Error('the file with the content to upload is shorter than the content');
        at += bytesRead;
        yield chunk.subarray(0, bytesRead);
      }
      if (tail.length > 0) yield tail;
    },
    onProgress,
  };
}

/** Bytes. */
export function sizeOf({ head, length, tail }: ThreadContent): number {
  return head.length + length + tail.length;
}
