/** The body of an answer. Its bytes are counted; those of a file's content also wait for their share of the bandwidth. */
import type { BodyChunk } from '../../content.js';
import type { Bandwidth, Way } from './token-bucket.js';
import type { WireBody } from './wire.js';

/** The part of `Watch` that this module needs. */
interface Waiting {
  readonly signal: AbortSignal;
  moved(): void;
  pause(): void;
}

/** Resolves when this many bytes may move. The stall timer pauses, because the delay is ours and not the server's. */
export async function throttled(
  bandwidth: Bandwidth,
  way: Way,
  bytes: number,
  watch: Waiting,
  signal?: AbortSignal,
): Promise<void> {
  const turn = bandwidth.take(way, bytes, () => signal ?? watch.signal);
  if (turn === undefined) return;
  watch.pause();
  await turn;
  watch.moved();
}

/** The stream that comes from the connection. */
interface Stream extends AsyncIterable<Uint8Array> {
  on(event: 'error', listener: (error: unknown) => void): unknown;
  destroy(): unknown;
}

export class CountedBody implements WireBody {
  readonly #stream: Stream;
  readonly #watch: Waiting;
  readonly #bandwidth: Bandwidth;
  readonly #isContent: boolean;
  readonly #destroyed = new AbortController();

  constructor(stream: Stream, watch: Waiting, bandwidth: Bandwidth, isContent: boolean) {
    this.#stream = stream;
    this.#watch = watch;
    this.#bandwidth = bandwidth;
    this.#isContent = isContent;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<BodyChunk> {
    const signal = this.#isContent ? AbortSignal.any([this.#watch.signal, this.#destroyed.signal]) : undefined;
    for await (const chunk of this.#stream) {
      if (this.#isContent) await throttled(this.#bandwidth, 'down', chunk.byteLength, this.#watch, signal);
      else this.#bandwidth.count('down', chunk.byteLength);
      yield chunk;
    }
  }

  on(event: 'error', listener: (error: unknown) => void): this {
    this.#stream.on(event, listener);
    return this;
  }

  destroy(): void {
    this.#destroyed.abort();
    this.#stream.destroy();
  }
}
