/** Request bodies that are (part of) the content of an upload. */
import type { UploadSource } from '../../content.js';
import type { Content } from './wire.js';

export interface ContentFrame {
  /** Bytes before and after those of the source, such as the boundaries of a form. Default: none. */
  readonly head?: Uint8Array;
  readonly tail?: Uint8Array;
  /** See `Content.onProgress`. */
  readonly onProgress?: ((sent: number) => void) | undefined;
}

const NOTHING = new Uint8Array(0);

/** Bytes `[offset, offset + length)` of the source; default: all. */
export function contentOf(
  source: UploadSource,
  { head = NOTHING, tail = NOTHING, onProgress }: ContentFrame = {},
  offset = 0,
  length = source.size,
): Content {
  const { whileOpen } = source;
  return {
    size: head.length + length + tail.length,
    async *open() {
      if (head.length > 0) yield head;
      if (length > 0) yield* source.read(offset, length);
      if (tail.length > 0) yield tail;
    },
    ...(whileOpen !== undefined && { inFile: { whileOpen, head, offset, length, tail } }),
    ...(onProgress !== undefined && { onProgress }),
    ...(source.onOutcome !== undefined && { onOutcome: source.onOutcome.bind(source) }),
  };
}
