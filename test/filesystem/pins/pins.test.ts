/** What pins ask of the service, and when: with a clock that stands still. */
import { expect, it, onTestFinished, vi } from 'vitest';
import { entriesPerTurn } from '../../../src/base/event-loop-turns.js';
import { revisionKey } from '../../../src/providers/provider.js';
import { remoteFileOf } from '../../../src/tree/inode.js';
import { type HarnessOptions, type Mounted, mounted, settle } from '../harness.js';

type Fill = Parameters<typeof mounted>[1];

async function start(fill: Fill, options: HarnessOptions = {}): Promise<Mounted> {
  const m = await mounted(options, fill);
  m.fs.pins.start();
  onTestFinished(() => m.fs.pins.close());
  return m;
}

/** Lets the clock run in small steps, as time does. */
async function pass(m: Mounted, ms: number, step = 500): Promise<void> {
  for (let at = 0; at < ms; at += step) {
    await settle();
    m.clock.advance(step);
  }
  await settle(20);
}

const allHere = (m: Mounted): boolean => m.fs.pins.status()?.missingFiles === 0;

it('without a pin the service is asked nothing, and no timer runs, before and after', async () => {
  const m = await start(({ other }) => other.put('d/a', 'a'));
  await m.names('d');
  await settle();
  m.provider.counts();
  expect(m.clock.sleepers).toBe(0);
  await m.fs.pins.pin(['/d']);
  await pass(m, 2000);
  expect(allHere(m)).toBe(true);
  await m.fs.pins.unpin(['/d']);
  await pass(m, 600_000, 60_000);
  m.provider.counts();
  await pass(m, 3_600_000, 60_000);
  expect(m.provider.counts()).toEqual({});
  expect(m.fs.pins.status()).toBeNull();
  expect(m.clock.sleepers).toBe(0);
});

it('a pinned folder costs a listing a folder, a download a file, and then a listing a folder and ttl', async () => {
  const m = await start(({ other }) => {
    for (const path of ['p/1', 'p/2', 'p/s/3', 'else/4']) other.put(path, path);
  });
  await m.names('');
  m.provider.counts();
  await m.fs.pins.pin(['/p']);
  await pass(m, 3000);
  expect(allHere(m)).toBe(true);
  expect(m.provider.counts()).toEqual({ list: 2, read: 3 });
  // The ttl is a minute: in ten of them each of the two comes about ten times.
  await pass(m, 600_000, 5000);
  const { list = 0, ...others } = m.provider.counts();
  expect(others).toEqual({});
  expect(list).toBeGreaterThanOrEqual(16);
  expect(list).toBeLessThanOrEqual(20);
  m.provider.other.put('p/2', 'changed elsewhere');
  m.provider.other.put('p/s/5', 'new');
  await pass(m, 130_000, 1000);
  expect(allHere(m)).toBe(true);
  expect(m.provider.counts().read).toBe(2);
  m.provider.offline = true;
  expect(await m.cat('p/2')).toBe('changed elsewhere');
  expect(await m.cat('p/s/5')).toBe('new');
});

it('what is written here needs no download, and what leaves the folder is not pinned any more', async () => {
  const m = await start(({ other }) => other.put('p/1', 'one'), { cacheSize: 1000 });
  await m.names('p');
  await m.fs.pins.pin(['/p']);
  await pass(m, 2000);
  m.provider.counts();
  await m.put('p/new', 'x'.repeat(5000));
  await m.put('p/1', 'changed here');
  await pass(m, 2000);
  expect(m.fs.pins.status()).toMatchObject({ files: 2, missingFiles: 0, bytes: 5012 });
  expect(m.provider.counts().read).toBeUndefined();
  expect(m.cache.stats().pinned).toBeGreaterThanOrEqual(5012);
  await m.mv('p/new', 'elsewhere');
  await pass(m, 2000);
  expect(m.fs.pins.status()).toMatchObject({ files: 1, missingFiles: 0 });
  await m.rm('p/1');
  await pass(m, 2000);
  expect(m.fs.pins.status()).toMatchObject({ pins: 1, files: 0 });
  expect(m.cache.pins.keys()).toEqual([]);
});

it('a mount takes up where the last one was cut off, and lets go what is not pinned any more', async () => {
  const fill: Fill = ({ other }) => {
    other.put('p/1', 'one');
    other.put('p/2', 'two');
  };
  const m = await start(fill);
  await m.names('p');
  await m.fs.pins.pin(['/p']);
  await pass(m, 2000);
  const two = remoteFileOf((await m.core.table.get((await m.stat('p/2')).ino)) as never);
  await m.fs.pins.close();
  // The process dies after the folder was unpinned, before the cache knew.
  m.core.table.pins.remove((await m.stat('p')).ino);
  m.core.table.pins.add((await m.stat('p/2')).ino, 1);
  const again = await m.remount();
  expect(again.cache.pins.keys()).toHaveLength(2);
  again.fs.pins.start();
  onTestFinished(() => again.fs.pins.close());
  await pass(again, 2000);
  expect(again.cache.pins.keys()).toEqual([two === null ? '' : revisionKey(two)]);
  expect(again.fs.pins.status()).toMatchObject({ pins: 1, files: 1, missingFiles: 0 });
});

it('a pin waits while the service is away, longer each time, and goes on', async () => {
  const m = await start(({ other }) => other.put('p/1', 'one'));
  await m.names('p');
  m.provider.offline = true;
  m.provider.counts();
  await m.fs.pins.pin(['/p']);
  await pass(m, 60_000);
  const asked = m.provider.counts().read ?? 0;
  // After 0, 5, 15 and 35 s.
  expect(asked).toBe(4);
  expect(m.fs.pins.status()).toMatchObject({ missingFiles: 1, problem: expect.any(String) });
  m.provider.offline = false;
  await pass(m, 60_000);
  expect(allHere(m)).toBe(true);
  expect(m.fs.pins.status()).not.toHaveProperty('problem');
});

it('what the disk has no room for is told, and asks for nothing', async () => {
  const m = await start(({ other }) => other.put('p/1', 'one'));
  await m.names('p');
  m.provider.counts();
  m.cache.pins.room = () => 2;
  await m.fs.pins.pin(['/p']);
  await pass(m, 10_000);
  expect(m.fs.pins.status()).toMatchObject({ missingFiles: 1, problem: expect.stringMatching(/no room for \/p\/1/) });
  expect(m.provider.counts()).toEqual({});
  m.cache.pins.room = () => 3;
  await pass(m, 70_000);
  expect(allHere(m)).toBe(true);
});

it('a path that another client made a moment ago is found, and one that is nowhere costs one listing', async () => {
  const m = await start(({ other }) => other.put('p/1', 'one'));
  await m.names('p');
  m.provider.other.put('p/2', 'two');
  await m.fs.pins.pin(['/p/2']);
  await pass(m, 2000);
  expect(m.fs.pins.status()).toMatchObject({ files: 1, missingFiles: 0, bytes: 3 });
  m.provider.counts();
  await expect(m.fs.pins.pin(['/p/nothing'])).rejects.toMatchObject({ code: 'ENOENT' });
  expect(m.provider.counts()).toEqual({ list: 1 });
});

it('a file of which any name lies in a pinned folder is pinned', async () => {
  const m = await start(({ other }) => {
    other.put('p/1', 'one');
    other.put('else/2', 'two');
  });
  await m.names('p');
  const two = (await m.stat('else/2')).ino;
  const files = (): number | undefined => m.fs.pins.status()?.files;
  await m.fs.pins.pin(['/p']);
  await pass(m, 2000);
  await m.fs.link(two, await m.ino('p'), 'linked');
  await pass(m, 2000);
  expect([files(), allHere(m)]).toEqual([2, true]);
  await m.mv('p/linked', 'else/linked');
  await pass(m, 2000);
  expect(files()).toBe(1);
  await m.mv('else/linked', 'p/again');
  await pass(m, 2000);
  expect(files()).toBe(2);
  // Also where the folder is pinned after the link was made.
  await m.fs.pins.unpin(['/p']);
  await pass(m, 2000);
  expect(m.cache.pins.keys()).toEqual([]);
  await m.fs.pins.pin(['/p']);
  await pass(m, 2000);
  expect([files(), allHere(m)]).toEqual([2, true]);
  await m.rm('p/again');
  await pass(m, 2000);
  expect(files()).toBe(1);
});

it.each([false, true])(
  'the pin of a file is that of the file that a program renames over it (new ids: %s)',
  async (newIds) => {
    const m = await start(({ other }) => other.put('letter', 'first'), { provider: { newIds } });
    await m.names('');
    await m.fs.pins.pin(['/letter']);
    await pass(m, 2000);
    await m.put('letter.new', 'second');
    // Its row rests: nothing but its name changes by the rename.
    await pass(m, 2000);
    await m.mv('letter.new', 'letter');
    await pass(m, 2000);
    expect(m.fs.pins.status()).toMatchObject({ files: 1, bytes: 6, missingFiles: 0 });
  },
);

it.each([
  [
    'gives the old one the name of a backup, and removes that after',
    ['mv letter letter~', 'put letter', 'rm letter~'],
    ['/letter'],
  ],
  ['keeps the backup', ['mv letter letter~', 'put letter'], ['/letter', '/letter~']],
  ['removes the old one first', ['rm letter', 'put letter'], ['/letter']],
  ['links the old one to a backup', ['ln letter letter~', 'put new', 'mv new letter'], ['/letter', '/letter~']],
])('a pinned file stays pinned where a program that saves it %s', async (_, steps, pinned) => {
  const m = await start(({ other }) => other.put('letter', 'first'));
  await m.names('');
  await m.fs.pins.pin(['/letter']);
  await pass(m, 2000);
  for (const step of steps) {
    const [act, name = '', to = ''] = step.split(' ');
    if (act === 'mv') await m.mv(name, to);
    else if (act === 'rm') await m.rm(name);
    else if (act === 'ln') await m.fs.link(await m.ino(name), m.fs.root, to);
    else await m.put(name, 'second');
    await pass(m, 1000);
  }
  expect((await m.fs.pins.list()).map(({ path }) => path).sort()).toEqual(pinned);
  expect(allHere(m)).toBe(true);
});

it('a file that gets the old name of a pinned one later is another one', async () => {
  const m = await start(({ other }) => other.put('letter', 'first'));
  await m.names('');
  await m.fs.pins.pin(['/letter']);
  await m.mv('letter', 'final');
  await pass(m, 16_000);
  await m.put('letter', 'second');
  await pass(m, 1000);
  expect((await m.fs.pins.list()).map(({ path }) => path)).toEqual(['/final']);
});

it('however many files are pinned one by one, status goes through none of them, and a pin, a list or an unpin through a piece between two turns', async () => {
  const many = 700;
  const names = Array.from({ length: many }, (_, at) => `p/${at}`);
  const m = await start(({ other }) => {
    for (const name of names) other.put(name, name);
  });
  await m.names('p');
  const added = mostBetweenTurns(m.core.table.pins, 'add');
  await m.fs.pins.pin(['/p', ...names.map((name) => `/${name}`)]);
  expect(added()).toBeGreaterThan(0);
  expect(added()).toBeLessThanOrEqual(50);
  const kept = mostBetweenTurns(m.cache.pins, 'add');
  await pass(m, 12_000);
  expect(kept()).toBeGreaterThan(0);
  expect(kept()).toBeLessThanOrEqual(25);

  const walked = vi.spyOn(Map.prototype, 'values');
  const status = m.fs.pins.status();
  expect(walked.mock.contexts.filter((map) => (map as Map<unknown, unknown>).size >= many)).toEqual([]);
  walked.mockRestore();
  expect(status).toMatchObject({ pins: many + 1, files: many });

  const listed = mostBetweenTurns(m.core.table, 'isWithin');
  expect(await m.fs.pins.list()).toHaveLength(many + 1);
  expect(listed()).toBeLessThanOrEqual(entriesPerTurn);

  const removed = mostBetweenTurns(m.core.table.pins, 'remove');
  const released = mostBetweenTurns(m.cache.pins, 'remove');
  await m.fs.pins.unpin(['/p', ...names.map((name) => `/${name}`)]);
  expect(removed()).toBeLessThanOrEqual(50);
  await pass(m, 12_000);
  expect(m.cache.pins.keys()).toEqual([]);
  expect(released()).toBeGreaterThan(0);
  expect(released()).toBeLessThanOrEqual(25);
});

it('the counts of a status are those of the files, whatever became of these', async () => {
  const m = await start(({ other }) => {
    for (const name of ['a', 'b', 'c', 'd']) other.put(`p/${name}`, name.repeat(1000));
  });
  await m.names('p');
  await m.fs.pins.pin(['/p']);
  const agree = async (): Promise<void> => {
    const [listed] = await m.fs.pins.list();
    const { path, kind, ...counts } = listed ?? { path: '', kind: '' };
    expect({ path, kind }).toEqual({ path: '/p', kind: 'directory' });
    const { pins, ...ofStatus } = m.fs.pins.status() ?? { pins: 0 };
    expect(pins).toBe(1);
    expect(ofStatus).toEqual(counts);
  };
  await agree();
  await pass(m, 2000);
  await agree();
  await m.put('p/a', 'changed here');
  await m.mv('p/b', 'out');
  await m.rm('p/c');
  m.provider.other.put('p/d', 'changed elsewhere');
  m.provider.other.put('p/e', 'new');
  await pass(m, 200);
  await agree();
  await pass(m, 130_000, 1000);
  await agree();
  expect(m.fs.pins.status()).toEqual({ pins: 1, files: 3, bytes: 12 + 17 + 3, missingFiles: 0, missingBytes: 0 });
  m.provider.other.put('p/f', 'more');
  m.provider.fail('read', 'permission', 100);
  await pass(m, 130_000, 1000);
  expect(m.fs.pins.status()).toMatchObject({ missingFiles: 1, problem: 'read was told to fail' });
  await agree();
});

/** The most calls of a method between two turns of the event loop, from now on. */
function mostBetweenTurns<T extends object>(object: T, method: keyof T & string): () => number {
  const called = vi.spyOn(object as Record<string, () => unknown>, method);
  let [most, isOver] = [0, false];
  const look = (): void => {
    most = Math.max(most, called.mock.calls.length);
    called.mockClear();
    if (!isOver) setImmediate(look);
  };
  setImmediate(look);
  onTestFinished(() => {
    isOver = true;
    called.mockRestore();
  });
  return () => most;
}
