/** How much room the account has: df(1). */
import type { ProviderError } from '../../providers/errors.js';
import type { Quota } from '../../providers/provider.js';
import { MAX_NAME_BYTES } from '../../tree/local-names.js';
import type { StatFs } from '../api.js';
import type { Core } from '../core/core.js';

/** How long a quota counts as the truth, ms. `df` never waits for a newer one. */
const QUOTA_TTL = 60_000;
/** Where the provider names no quota, bytes: plausible, and more than anybody copies. */
const NO_QUOTA = 1024 ** 5;

export class SpaceAccounting {
  readonly #core: Core;
  /** As last heard; null where the provider has none. */
  quota: Quota | null;
  #at: number;

  constructor(core: Core, quota: Quota | null) {
    this.#core = core;
    this.quota = quota;
    this.#at = core.clock.now();
  }

  statfs(): StatFs {
    if (this.#core.clock.now() - this.#at > QUOTA_TTL) this.#refresh();
    return {
      total: this.quota?.total ?? NO_QUOTA,
      free: this.quota?.free ?? NO_QUOTA,
      files: this.#core.table.count(),
      maxNameBytes: MAX_NAME_BYTES,
    };
  }

  /** We stored so many bytes more, or fewer, than were there; null: there was no room, so that what is known is wrong. */
  changed(bytes: number | null): void {
    if (bytes === null) this.#refresh();
    if (bytes === null || this.quota === null) return;
    const { total, free } = this.quota;
    this.quota = { total, free: Math.max(0, Math.min(total, free - bytes)) };
  }

  /** We removed so many bytes. What lies in a trash may count or not: the next who asks has it asked for. */
  removed(bytes: number, toTrash: boolean): void {
    if (toTrash) this.#at = Number.NEGATIVE_INFINITY;
    else this.changed(-bytes);
  }

  #refresh(): void {
    this.#at = this.#core.clock.now();
    this.#core.provider
      .account({ priority: 'background' })
      .then(({ quota }) => {
        this.quota = quota;
        this.#at = this.#core.clock.now();
      })
      .catch((error: ProviderError) => this.#core.log.debug({ code: error.code }, `quota: ${error.message}`));
  }
}
