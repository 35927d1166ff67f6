/** `GET /changes`: "a feed of file events (created, modified, deleted) since a given timestamp". */
import type { Keeper } from '../journal.js';
import type { Clock } from './clock.js';
import type { FiveSyncReadings, FiveSyncSettings } from './options.js';
import { isBelow } from './paths.js';
import type { EventRecord, FileRecord, Rec } from './records.js';

export interface Changes {
  events: EventRecord[];
  /** The number of the last event that this answer covers, also if the path filter left it out. */
  last: number;
  more: boolean;
}

export class Feed {
  #events: EventRecord[];

  constructor(
    loaded: Iterable<EventRecord>,
    readonly clock: Clock,
    readonly readings: FiveSyncReadings,
    readonly settings: FiveSyncSettings,
    readonly keeper: Keeper<Rec>,
  ) {
    this.#events = [...loaded].sort((a, b) => a.seq - b.seq);
  }

  add(file: FileRecord, action: EventRecord['action']): void {
    const before = this.#events.at(-1);
    const seq = (before?.seq ?? 0) + 1;
    // Times must not decrease, even if the clock was set back.
    const at = Math.max(this.clock.stamp(), before?.at ?? 0);
    const event: EventRecord = { kind: 'event', id: `e_${seq}`, seq, file: file.id, dir: file.dir, action, at };
    this.#events.push(event);
    this.keeper.put(event);
  }

  get length(): number {
    return this.#events.length;
  }

  /** Returns the events since a time, or after an event. */
  changes(since: number, dir: string | undefined, after = 0): Changes {
    const visible = this.clock.time() - this.readings.changesLagSeconds * 1000;
    const found: EventRecord[] = [];
    const most = this.settings.eventsPerAnswer;
    const first = this.#from(since, after);
    let last = Math.max(after, this.#events[first - 1]?.seq ?? 0);
    for (let i = first; i < this.#events.length; i++) {
      const event = this.#events[i] as EventRecord;
      if (event.at > visible) break;
      if (found.length >= most && !this.#mustGoOn(found, event, since)) return { events: found, last, more: true };
      last = event.seq;
      if (dir !== undefined && !this.#isIn(event.dir, dir)) continue;
      found.push(event);
    }
    return { events: found, last, more: false };
  }

  /**
   * A page never ends between two events of the same time, and if more events follow, it contains one later than `since`.
   * So a client that continues from the last timestamp makes progress.
   */
  #mustGoOn(found: readonly EventRecord[], next: EventRecord, since: number): boolean {
    const lastTime = found.at(-1)?.at;
    return lastTime === next.at || lastTime === since;
  }

  /** The first event to return. A binary search, because times do not decrease. */
  #from(since: number, after: number): number {
    const counts = ({ at, seq }: EventRecord) =>
      seq > after && (after > 0 || (this.readings.since === 'inclusive' ? at >= since : at > since));
    let low = 0;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (counts(this.#events[middle] as EventRecord)) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #isIn(dir: string, top: string): boolean {
    return this.readings.pathFilter === 'exact' ? dir === top : isBelow(dir, top);
  }
}
