/** When the question is asked whether a file still is the revision that is being read, and what its answers prove. */
import { describe, expect, it } from 'vitest';
import { turn } from '../../../src/base/event-loop-turns.js';
import { ProviderError } from '../../../src/providers/errors.js';
import { RevisionWatch } from '../../../src/providers/http/ranges/revision-watch.js';
import type { RemoteFile } from '../../../src/providers/provider.js';
import { TestClock } from '../../support/test-clock.js';

const file = { kind: 'file', id: 'f', name: 'f', md5: null, size: 10, modified: 1 } as RemoteFile;
const changed = new ProviderError('revision-changed', 'changed', { data: {} });
const broken = new ProviderError('network', 'broken', { data: {} });

class Watching {
  readonly clock = new TestClock();
  /** When questions began, ms from the beginning. */
  readonly asked: number[] = [];
  /** What the next questions find; nothing: the file is unchanged. */
  readonly findings: (Error | null)[] = [];
  readonly #begun = this.clock.now();
  readonly #open: (() => void)[] = [];
  readonly watch = new RevisionWatch(this.clock, async () => {
    this.asked.push(this.clock.now() - this.#begun);
    await new Promise<void>((resolve) => this.#open.push(resolve));
    const found = this.findings.shift();
    if (found != null) throw found;
  });

  /** Time passes; every question under way is answered. */
  async pass(ms: number): Promise<void> {
    await this.begin(ms);
    for (const answer of this.#open.splice(0)) answer();
    for (let turns = 0; turns < 5; turns++) await turn();
  }

  async begin(ms: number): Promise<void> {
    this.clock.advance(ms);
    for (let turns = 0; turns < 5; turns++) await turn();
  }

  answer(): { readonly state: () => string } {
    let state = 'open';
    this.watch.proofOf(file).settled.then(
      () => {
        state = 'proven';
      },
      (error: ProviderError) => {
        state = error.code;
      },
    );
    return { state: () => state };
  }
}

describe('a question beside the ranges of a file', () => {
  it('is asked at once, and then once a second as long as answers come', async () => {
    const watching = new Watching();
    for (let at = 0; at <= 3000; at += 100) {
      watching.answer();
      await watching.pass(100);
    }
    await watching.pass(5000);
    expect(watching.asked.every((at, index) => index === 0 || at - (watching.asked[index - 1] ?? 0) >= 1000)).toBe(
      true,
    );
    expect(watching.asked.length).toBeGreaterThanOrEqual(4);
  });

  it('proves the answers before it, and nothing about one that comes while it is under way', async () => {
    const watching = new Watching();
    const before = watching.answer();
    await watching.begin(0);
    const during = watching.answer();
    await watching.pass(0);
    expect([before.state(), during.state()]).toEqual(['proven', 'open']);
    watching.findings.push(changed);
    await watching.pass(1000);
    expect(during.state()).toBe('revision-changed');
  });

  it('is shared by those who ask before they use an answer, for a second', async () => {
    const watching = new Watching();
    const first = watching.watch.recently(file);
    const second = watching.watch.recently(file);
    await watching.pass(0);
    await Promise.all([first, second]);
    await watching.begin(900);
    await watching.watch.recently(file);
    expect(watching.asked).toEqual([0]);
    const later = watching.watch.recently(file);
    expect(watching.asked).toEqual([0]);
    await later;
    await watching.begin(100);
    const after = watching.watch.recently(file);
    await watching.pass(0);
    await after;
    expect(watching.asked).toEqual([0, 1000]);
  });

  it('that finds no answer leaves what waits as it is, until somebody asks again', async () => {
    const watching = new Watching();
    watching.findings.push(broken);
    const answer = watching.answer();
    await watching.pass(0);
    await watching.pass(60_000);
    expect([watching.asked, answer.state()]).toEqual([[0], 'open']);
    watching.findings.push(broken);
    const asking = watching.watch.recently(file);
    asking.catch(() => undefined);
    await watching.pass(0);
    await expect(asking).rejects.toMatchObject({ code: 'network' });
    watching.answer();
    await watching.pass(1000);
    expect([watching.asked, answer.state()]).toEqual([[0, 60_000, 61_000], 'proven']);
  });

  it('is asked at once where somebody demands a proof, and again where one was under way', async () => {
    const watching = new Watching();
    watching.answer();
    await watching.begin(0);
    const proof = watching.watch.proofOf(file);
    const demanded = proof.demand();
    await watching.pass(0);
    await watching.pass(0);
    await demanded;
    expect(watching.asked).toEqual([0, 0]);
    watching.findings.push(changed);
    const another = watching.watch.proofOf(file).demand();
    another.catch(() => undefined);
    await watching.pass(0);
    await expect(another).rejects.toMatchObject({ code: 'revision-changed' });
  });

  it('counts no time in which the clock was set back', async () => {
    const watching = new Watching();
    const first = watching.watch.recently(file);
    await watching.pass(0);
    await first;
    await watching.begin(-3_600_000);
    const again = watching.watch.recently(file);
    await watching.pass(0);
    await again;
    expect(watching.asked).toHaveLength(2);
  });
});
