/** A list that is read page by page while files come and go. */
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import type { Item, Page } from '../../../src/providers/fivesync/entities.js';
import { PageWalk } from '../../../src/providers/fivesync/page-walk.js';
import { movableClock, names } from './fivesync-account.js';
import { miniFiveSync, type Readings } from './mini-fivesync.js';

const size = 5;
const epoch = Date.parse('2026-01-01T00:00:00Z');

/** A service's list, in the order of creation, and the change before each answer. */
class List {
  items: Item[];
  reads = 0;
  #made: number;
  readonly always: Set<string>;
  readonly tellsTotal: boolean;

  constructor(count: number, tellsTotal = true) {
    this.items = Array.from({ length: count }, (_, i) => this.#item(i));
    this.#made = count;
    this.always = new Set(this.items.map(({ id }) => id));
    this.tellsTotal = tellsTotal;
  }

  #item(n: number): Item {
    return { id: `f${n}`, name: `f${n}`, size: 1, created: new Date(epoch + n * 1000).toISOString() };
  }

  /** 0: nothing changes. Even: a file is added. Odd: one is removed. */
  happen(step: number): void {
    if (step === 0) return;
    if (step % 2 === 0) this.items.push(this.#item(this.#made++));
    else for (const gone of this.items.splice(step % this.items.length, 1)) this.always.delete(gone.id);
  }

  read(page: number): Page {
    this.reads++;
    const items = this.items.slice((page - 1) * size, page * size);
    return { items, length: items.length, total: this.tellsTotal ? this.items.length : undefined, limit: size };
  }
}

describe('entries that stay in a list are read', () => {
  it.each([true, false])('whatever is added and removed meanwhile (totals: %s)', async (tellsTotal) => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(60),
        fc.array(fc.nat(40), { maxLength: 60 }),
        fc.boolean(),
        async (count, steps, late) => {
          const list = new List(count, tellsTotal);
          const made = epoch + (count - 1) * 1000;
          const isNew = (item: Item): boolean => Date.parse(String(item.created)) > made;
          const walk = new PageWalk(list.read(1), isNew);
          let done = 0;
          await walk.finish(async (page) => {
            // The answers of concurrent requests come in any order.
            if (late && page % 3 === 0) await Promise.resolve();
            if (list.items.length > 1) list.happen(steps[done++] ?? 0);
            return list.read(page);
          });
          const read = await walk.items();
          expect([...list.always].filter((id) => !read.has(id))).toEqual([]);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('each page costs one request if nothing changes', async () => {
    const list = new List(47);
    const walk = new PageWalk(list.read(1), () => false);
    await walk.finish(async (page) => list.read(page));
    expect([(await walk.items()).size, list.reads, walk.hasMoved]).toEqual([47, 10, false]);
  });

  it.each([
    ['a hundred million', 100_000_000, (list: List, page: number) => list.read(page)],
    ['as many, from a server that ignores the page', 100_000_000, (list: List) => list.read(1)],
    ['nothing', undefined, (list: List) => list.read(1)],
  ])('the walk ends if the total says %s', async (_what, total, read) => {
    const list = new List(23, false);
    const ask = (page: number): Page => ({ ...read(list, page), total });
    const walk = new PageWalk(ask(1), () => false);
    await walk.finish(async (page) => ask(page));
    expect(list.reads).toBeLessThan(60);
    expect((await walk.items()).size).toBe(ask(2).items[0]?.id === 'f0' ? size : 23);
  });

  it('the walk continues where it was after a page failed', async () => {
    const list = new List(47);
    const walk = new PageWalk(list.read(1), () => false);
    const failing = (page: number): Promise<Page> =>
      page === 4 ? Promise.reject(new Error('limit')) : Promise.resolve(list.read(page));
    await expect(walk.finish(failing)).rejects.toThrow('limit');
    await walk.finish(async (page) => list.read(page));
    expect([(await walk.items()).size, list.reads]).toEqual([47, 10]);
  });
});

describe('a crawl of 5sync while files are removed', () => {
  test.each([
    ['one is removed after the first page', { comes: false }],
    ['one is removed and one added', { comes: true }],
    ['one is removed, and pages are of 50', { largestPage: 50, comes: false }],
    ['one is removed, where pages cannot be ordered', { refuseLimit: true, comes: false }],
  ])('%s: no other file is missing', async (_what, { comes, ...readings }: { comes?: boolean } & Readings) => {
    const clock = movableClock();
    const mini = await miniFiveSync(readings, { clock });
    for (let i = 0; i < 500; i++) mini.add('/', `f${i}`, 'x');
    const [first] = mini.named('/', 'f3');
    mini.before = ({ query }) => {
      if (query.get('page') !== '3' || first === undefined || !mini.files.has(first.id)) return undefined;
      mini.drop(first);
      mini.now = Date.now();
      if (comes) mini.add('/', 'new', 'x');
      return undefined;
    };
    const atOnce = await names(mini);
    if (comes === false) for (const { name } of mini.files.values()) expect(atOnce).toContain(`file ${name}`);
    // If as many files were added as removed, only the feed of changes shows it.
    clock.move(3600_000);
    const listed = await names(mini);
    for (const { name } of mini.files.values()) expect(listed).toContain(`file ${name}`);
    expect(mini.named('/', 'f3')).toEqual([]);
  });
});
