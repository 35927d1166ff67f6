/** The options of a mount that `syncmount set` changes while it runs, and their values at each moment. */
import type { Clock } from '../../base/clock.js';
import type { Log } from '../../base/log.js';
import { type BandwidthLimit, limitAt } from '../../config/bandwidth-timetable.js';
import { liveNames, parseLive, resolveOptions } from '../../config/option-texts.js';
import { type MountOptions, optionSpecs } from '../../config/options.js';

type Live = Pick<MountOptions, 'bwlimit' | 'transfers' | 'exclude' | 'logLevel'>;

/** The parts of a mount that the options change. */
export interface LiveParts {
  readonly bandwidth: { set(limit: BandwidthLimit): void };
  readonly uploader: {
    setTransfers(transfers: number | null): void;
    exclude(patterns: readonly string[]): Promise<void>;
  };
  readonly setLogLevel: ((level: MountOptions['logLevel']) => void) | undefined;
  readonly log: Log;
}

/** The limits that `status` shows; each is absent if there is none. */
export interface LimitStatus {
  /** Bytes a second at this moment. */
  readonly down?: number;
  readonly up?: number;
  /** The time of the timetable's next entry, ms since 1970. */
  readonly until?: number;
  readonly transfers?: number;
  readonly exclude?: readonly string[];
}

/** How often the timetable is checked, ms. It is in minutes, and a machine may sleep or change its clock in between. */
const LOOK_MS = 15_000;

export class LiveOptions {
  readonly #clock: Clock;
  readonly #parts: LiveParts;
  #options: Live;
  #limit: BandwidthLimit | null = null;
  readonly #end = new AbortController();
  #isFollowing = false;

  /** Sets the bandwidth at once; the other parts got the options at their start. */
  constructor(options: MountOptions, parts: LiveParts, clock: Clock) {
    this.#clock = clock;
    this.#parts = parts;
    this.#options = options;
    this.#follow();
  }

  /** Changes some options, given as typed, and returns all, as typed. If it throws `UsageError`, nothing has changed. */
  async set(values: Readonly<Record<string, string>>): Promise<Record<string, string>> {
    const given = parseLive(Object.entries(values).flatMap(([name, text]) => linesOf(name, text)));
    const parsed = resolveOptions(given);
    const keys = optionSpecs.flatMap(({ key, name }) => (given.has(name) ? [key] : []));
    const next = { ...this.#options, ...Object.fromEntries(keys.map((key) => [key, parsed[key]])) } as Live;
    const before = this.#options;
    this.#options = next;
    this.#follow();
    this.#parts.log.info(values, 'options of the mount are changed');
    if (next.transfers !== before.transfers) this.#parts.uploader.setTransfers(next.transfers);
    if (next.logLevel !== before.logLevel) this.#parts.setLogLevel?.(next.logLevel);
    if (next.exclude !== before.exclude) await this.#parts.uploader.exclude(next.exclude);
    return this.#texts();
  }

  status(): LimitStatus {
    const { transfers, exclude, bwlimit } = this.#options;
    const now = this.#clock.now();
    const { limit, minutesLeft } = limitAt(bwlimit.timetable, new Date(now));
    const { down, up } = limit;
    return {
      ...(down !== null && { down }),
      ...(up !== null && { up }),
      ...(minutesLeft !== null && { until: now - (now % 60_000) + minutesLeft * 60_000 }),
      ...(transfers !== null && { transfers }),
      ...(exclude.length > 0 && { exclude }),
    };
  }

  close(): void {
    this.#end.abort();
  }

  #texts(): Record<string, string> {
    const { bwlimit, transfers, exclude, logLevel } = this.#options;
    const texts: Record<string, string> = {
      bwlimit: bwlimit.text,
      transfers: transfers === null ? 'default' : String(transfers),
      exclude: exclude.join('\n'),
      'log-level': logLevel,
    };
    return Object.fromEntries(liveNames().map((name) => [name, texts[name] ?? '']));
  }

  /** Sets the bandwidth of the timetable, now and at each of its entries. */
  #follow(): void {
    const { timetable } = this.#options.bwlimit;
    const { limit } = limitAt(timetable, new Date(this.#clock.now()));
    if (limit.down !== this.#limit?.down || limit.up !== this.#limit.up) {
      this.#parts.bandwidth.set(limit);
      if (this.#limit !== null) this.#parts.log.info(limit, 'another limit of bandwidth begins');
    }
    this.#limit = limit;
    if (timetable.length <= 1 || this.#isFollowing) return;
    this.#isFollowing = true;
    this.#clock.sleep(LOOK_MS, this.#end.signal).then(
      () => {
        this.#isFollowing = false;
        this.#follow();
      },
      () => undefined,
    );
  }
}

/** `name=value` for each line of the text. */
function linesOf(name: string, text: string): string[] {
  return text.split('\n').map((line) => `${name}=${line}`);
}
