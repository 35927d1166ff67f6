/** Total and free space of the account, for df(1). */
import type { ProviderError } from '../../providers/errors.js';
import type { Quota } from '../../providers/provider.js';
import { MAX_NAME_BYTES } from '../../tree/local-names.js';
import type { StatFs } from '../api.js';
import type { Core } from '../core/core.js';

/** How long a quota counts as current, ms. `df` never waits for a newer one. */
const QUOTA_TTL = 60_000;
/** The same where the provider has named none, ms: most such providers never do, and some count each request. */
const NO_QUOTA_TTL = 10 * 60_000;
/** Shown when the provider names no quota, bytes: plausible, and more than anybody copies. */
const NO_QUOTA = 1024 ** 5;

/** How long `df` waits for the quota after the trash was emptied, ms. */
const SETTLE_MS = 2000;

export class SpaceAccounting {
  readonly #core: Core;
  /** The latest known quota; null if the provider has none. */
  quota: Quota | null;
  #at: number;
  /** Something left the trash for ever since the quota was last asked for. */
  #isEmptied = false;
  #refreshing: Promise<void> | null = null;

  constructor(core: Core, quota: Quota | null) {
    this.#core = core;
    this.quota = quota;
    this.#at = core.clock.now();
  }

  statfs(): StatFs {
    const ttl = this.quota === null ? NO_QUOTA_TTL : QUOTA_TTL;
    if (this.#core.clock.now() - this.#at > ttl) this.#refresh();
    return {
      total: this.quota?.total ?? NO_QUOTA,
      free: this.quota?.free ?? NO_QUOTA,
      files: this.#core.table.countAtMost(),
      maxNameBytes: MAX_NAME_BYTES,
    };
  }

  /** Our upload changed the used space by `bytes`. Null: the provider had no space left, so the known quota is wrong. */
  changed(bytes: number | null): void {
    if (bytes === null) this.#refresh();
    if (bytes === null || this.quota === null) return;
    const { total, free } = this.quota;
    this.quota = { total, free: Math.max(0, Math.min(total, free - bytes)) };
  }

  /**
   * We removed `bytes`. Whether a trash counts is unknown, so after a move to the trash the next statfs refreshes the
   * quota.
   */
  removed(bytes: number, toTrash: boolean): void {
    if (toTrash) this.#at = Number.NEGATIVE_INFINITY;
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
    this.#refresh();
    await Promise.race([this.#refreshing, waited]);
    patience.abort();
  }

  #refresh(): void {
    this.#at = this.#core.clock.now();
    this.#refreshing = this.#core.provider
      .account({ priority: 'background' })
      .then(({ quota }) => {
        this.quota = quota;
        this.#at = this.#core.clock.now();
      })
      .catch((error: ProviderError) => this.#core.log.debug({ code: error.code }, `quota: ${error.message}`));
  }
}
