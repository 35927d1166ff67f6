/** The data plane of a mount: threads beside the event loop, each started by the first work for it. */
import type { ContentHasher } from '../base/content-hasher.js';
import type { MakeExchanger } from '../providers/http/transport/exchanger.js';
import type { Bandwidth } from '../providers/http/transport/token-bucket.js';
import { ExchangeThread } from './exchange-thread.js';
import { HashThread } from './hash-thread.js';

export class DataThreads {
  readonly #hash = new HashThread();
  readonly #exchange: ExchangeThread;

  /** `bandwidth`: the limits of transfers. */
  constructor(bandwidth: Bandwidth) {
    this.#exchange = new ExchangeThread(bandwidth);
  }

  get hasher(): ContentHasher {
    return this.#hash;
  }

  readonly bulk: MakeExchanger = (options) => this.#exchange.exchanger(options);

  /** Ends the threads. Their work in flight fails. */
  async close(): Promise<void> {
    await Promise.all([this.#hash.close(), this.#exchange.close()]);
  }
}
