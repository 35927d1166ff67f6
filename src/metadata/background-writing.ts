/**
 * Writes this machine's changes to the account: shortly after the last change (schedule.ts says when), when a program asks for it, and
 * again after a failure. Writes run one at a time, and upkeep runs between them.
 */
import { type Clock, SteadyTime } from '../base/clock.js';
import { codeOf, messageOf } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { Priority, Provider } from '../providers/provider.js';
import type { MetadataReader } from './reader.js';
import { mayWriteAtOnce, writeTime } from './schedule.js';
import type { StoreUpkeep } from './store-upkeep.js';
import type { MetadataTables } from './tables.js';
import type { MetadataWriter } from './writer.js';

/** Codes of refusals that the service is likely to repeat. */
const lasting: ReadonlySet<string> = new Set(['permission', 'quota', 'limit', 'unsupported', 'exists', 'invalid-name']);

export interface BackgroundWritingOptions {
  readonly tables: Pick<MetadataTables, 'unwritten'>;
  readonly provider: Pick<Provider, 'metrics'>;
  readonly reader: Pick<MetadataReader, 'refresh'>;
  readonly writer: Pick<MetadataWriter, 'write'>;
  readonly upkeep: Pick<StoreUpkeep, 'run'>;
  /** Puts the deferred entries into the store (`DeferredEntries`). */
  readonly writeDeferred: () => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
  /** Nothing is written. */
  readonly readOnly: boolean;
  /** Aborts when the mount ends. */
  readonly closing: AbortSignal;
}

export class BackgroundWriting {
  readonly #o: BackgroundWritingOptions;
  readonly #time: SteadyTime;
  #firstChange: number | null = null;
  #lastChange = 0;
  #lastWrite: number | null = null;
  #failures = 0;
  #lastFailure = 0;
  #error: string | null = null;
  #background: Promise<void> | null = null;
  /** Ends with the last write that has begun or is queued. */
  #last: Promise<void> = Promise.resolve();

  constructor(options: BackgroundWritingOptions) {
    this.#o = options;
    this.#time = new SteadyTime(options.clock);
  }

  /** True while neither a write nor upkeep runs in the background. */
  get isIdle(): boolean {
    return this.#background === null;
  }

  /** Why the last attempt failed; null if it succeeded. */
  get error(): string | null {
    return this.#error;
  }

  /** Schedules a write in the background. */
  changed(): void {
    this.#noteChange();
    if (this.#o.readOnly || this.#o.closing.aborted) return;
    this.#background ??= this.#writeInBackground().finally(() => {
      this.#background = null;
    });
  }

  /** Finds files of this machine that others have removed from the account since the last mount, then runs upkeep. */
  checkOwnFiles(): void {
    this.#background ??= this.#checkOwnFiles();
  }

  /** Writes all changes until now to the account. Throws the provider's error. */
  flush(priority: Priority, signal?: AbortSignal): Promise<void> {
    const { readOnly, closing } = this.#o;
    if (readOnly) return Promise.resolve();
    const either = signal === undefined ? closing : AbortSignal.any([signal, closing]);
    return this.#inTurn(() => this.#flush(priority, either));
  }

  /** See `MetadataStore.sync`. */
  async sync(signal?: AbortSignal): Promise<void> {
    const limit = this.#o.provider.metrics().rateLimit;
    const state = { failures: this.#failures, lastFailure: this.#lastFailure, limit };
    if (!mayWriteAtOnce(state, this.#time.now(), this.#o.clock.now())) return;
    await this.flush('foreground', signal).catch((error) => this.#logFailure(error));
  }

  /** Resolves when all work has ended. For use after `closing`. */
  async ended(): Promise<void> {
    await this.#last;
    await this.#background?.catch(() => undefined);
  }

  #inTurn(act: () => Promise<void>): Promise<void> {
    const work = this.#last.then(act);
    this.#last = work.catch(() => undefined);
    return work;
  }

  async #checkOwnFiles(): Promise<void> {
    const { reader, tables, log, closing } = this.#o;
    try {
      await reader.refresh({ priority: 'background', signal: closing });
    } catch (error) {
      // The next listing tries again.
      log.debug({ code: codeOf(error) }, `the metadata in the account: ${messageOf(error)}`);
    }
    await this.#tidy();
    this.#background = null;
    if (tables.unwritten() > 0) this.changed();
  }

  /** Runs upkeep if it is due. Its changes are written like all others. */
  async #tidy(): Promise<void> {
    const { upkeep, tables, log, closing } = this.#o;
    try {
      await this.#inTurn(() => upkeep.run({ priority: 'background', signal: closing }));
    } catch (error) {
      // The next write is followed by another try.
      log.debug({ code: codeOf(error) }, `the upkeep of the metadata in the account: ${messageOf(error)}`);
    }
    if (tables.unwritten() > 0) this.#noteChange();
  }

  async #flush(priority: Priority, signal: AbortSignal): Promise<void> {
    const { tables, writer, writeDeferred } = this.#o;
    if (tables.unwritten() === 0) return;
    this.#firstChange = null;
    try {
      await writeDeferred();
      await writer.write({ priority, signal });
      this.#lastWrite = this.#time.now();
      this.#failures = 0;
      this.#error = null;
    } catch (error) {
      this.#failures++;
      this.#lastFailure = this.#time.now();
      this.#error = messageOf(error);
      throw error;
    } finally {
      if (tables.unwritten() > 0) this.#noteChange();
    }
  }

  #noteChange(): void {
    this.#lastChange = this.#time.now();
    this.#firstChange ??= this.#lastChange;
  }

  async #writeInBackground(): Promise<void> {
    const { tables, clock, provider, closing } = this.#o;
    // Lets the caller's transaction end first.
    await Promise.resolve();
    while (!closing.aborted && tables.unwritten() > 0) {
      const firstChange = this.#firstChange ?? this.#time.now();
      const at = writeTime({
        firstChange,
        lastChange: this.#lastChange,
        lastWrite: this.#lastWrite,
        failures: this.#failures,
        lastFailure: this.#lastFailure,
        limit: provider.metrics().rateLimit,
      });
      const wait = at - this.#time.now();
      try {
        if (wait > 0) await clock.sleep(wait, closing);
        else {
          await this.flush('background');
          await this.#tidy();
        }
      } catch (error) {
        if (closing.aborted) return;
        this.#logFailure(error);
      }
    }
  }

  /** Warns once, and logs further failures at level debug: `status` shows the last reason. */
  #logFailure(error: unknown): void {
    const { log } = this.#o;
    const code = codeOf(error) ?? '';
    if (code === 'aborted') return;
    const hint = lasting.has(code) ? '. A mount with --metadata local keeps it on this machine' : '';
    const text = `the metadata is not in the account yet, and will be tried again: ${messageOf(error)}${hint}`;
    if (this.#failures === 1) log.warn({ code }, text);
    else log.debug({ code, failures: this.#failures }, text);
  }
}
