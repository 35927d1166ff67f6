/** Total and free space of the account, for df(1). */
import { steadyTimeOf } from '../../base/clock.js';
import type { ProviderError } from '../../providers/errors.js';
import type { Quota } from '../../providers/provider.js';
import { MAX_NAME_BYTES } from '../../tree/local-names.js';
import type { StatFs } from '../api.js';
import type { Core } from '../core/core.js';

/** How long a quota counts as current, ms. `df` never waits for a newer one. */
const QUOTA_TTL = 60_000;
/** The same if the provider has named none, ms: most such providers never do, and some count each request. */
const NO_QUOTA_TTL = 10 * 60_000;
/** Shown when the provider names no quota, bytes: plausible, and more than anybody copies. */
const NO_QUOTA = 1024 ** 5;

/**
 * How long a quota counts as current after a move to the trash, which may count or not, ms. A program that removes file after file, and
 * looks each time, causes one request in that time.
 */
const DOUBTED_QUOTA_TTL = 10_000;

/** How long `df` waits for the quota after the trash was emptied, ms. */
const SETTLE_MS = 2000;

export class SpaceAccounting {
  readonly #core: Core;
  /** The latest known quota; null if the provider has none. */
  quota: Quota | null;
  /** When the provider was last asked for it. */
  #at: number;
  /** Something went to the trash since the quota was last asked for. */
  #isInDoubt = false;
  /** Something left the trash for ever since the quota was last asked for. */
  #isEmptied = false;
  /** The latest request, while it is under way. */
  #refreshing: Promise<void> | null = null;
  /** Bytes that we have stored since that request: its answer may not count them. */
  #storedMeanwhile = 0;

  constructor(core: Core, quota: Quota | null) {
    this.#core = core;
    this.quota = quota;
    this.#at = steadyTimeOf(core.clock).now();
  }

  statfs(): StatFs {
    const ttl = this.quota === null ? NO_QUOTA_TTL : this.#isInDoubt ? DOUBTED_QUOTA_TTL : QUOTA_TTL;
    if (steadyTimeOf(this.#core.clock).now() - this.#at > ttl) this.#refresh();
    return {
      total: this.quota?.total ?? NO_QUOTA,
      free: this.quota?.free ?? NO_QUOTA,
      files: this.#core.table.countAtMost(),
      maxNameBytes: MAX_NAME_BYTES,
    };
  }

  /** Our upload changed the used space by `bytes`. Null: the provider had no space left, so the known quota is wrong. */
  changed(bytes: number | null): void {
    if (bytes === null) {
      this.#refresh();
      return;
    }
    if (bytes > 0) this.#storedMeanwhile += bytes;
    if (this.quota !== null) this.quota = less(this.quota, bytes);
  }

  /** We removed `bytes`. Whether a trash counts is unknown, so after a move to the trash the quota is asked for sooner. */
  removed(bytes: number, toTrash: boolean): void {
    if (toTrash) this.#isInDoubt = true;
    else this.changed(-bytes);
  }

  /** Objects left the trash for ever. Whether they counted there, and how much a folder held, only the service knows: see `settled`. */
  emptied(): void {
    this.#isEmptied = true;
  }

  /** After `emptied`: resolves when the service has told the quota, or after `SETTLE_MS`. Undefined if there is nothing to wait for. */
  settled(): Promise<void> | undefined {
    if (!this.#isEmptied || this.quota === null) return undefined;
    return this.#settle();
  }

  async #settle(): Promise<void> {
    this.#isEmptied = false;
    const patience = new AbortController();
    const waited = this.#core.clock.sleep(SETTLE_MS, patience.signal).catch(() => undefined);
    await Promise.race([this.#ask(), waited]);
    patience.abort();
  }

  #refresh(): void {
    if (this.#refreshing === null) void this.#ask();
  }

  /** Asks for the quota. If several requests are under way, the answer to the latest counts. Never throws. */
  #ask(): Promise<void> {
    this.#at = steadyTimeOf(this.#core.clock).now();
    this.#isInDoubt = false;
    this.#storedMeanwhile = 0;
    const asking = this.#core.provider
      .account({ priority: 'background' })
      .then(({ quota }) => {
        if (this.#refreshing !== asking) return;
        this.quota = quota === null ? null : less(quota, this.#storedMeanwhile);
      })
      .catch((error: ProviderError) => this.#core.log.debug({ code: error.code }, `quota: ${error.message}`))
      .finally(() => {
        if (this.#refreshing === asking) this.#refreshing = null;
      });
    this.#refreshing = asking;
    return asking;
  }
}

/** The quota with so many more bytes in use. */
function less({ total, free }: Quota, bytes: number): Quota {
  return { total, free: Math.max(0, Math.min(total, free - bytes)) };
}
