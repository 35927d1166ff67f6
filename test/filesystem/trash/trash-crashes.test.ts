// @module-tag long
/**
 * The process dies before each write of the state database, one after the other, while objects go into the service's trash, come back
 * and are removed there for ever. Each object is then in its folder or in the trash, once, with its attributes.
 */
import { describe, expect, it } from 'vitest';
import { type HarnessOptions, type Mounted, mounted, rested, settle } from '../harness.js';

/** Kills a process before the write of its state database that a test chooses. From then on it writes and asks for nothing. */
class Killer {
  #left = Number.POSITIVE_INFINITY;
  #victim: Mounted | null = null;

  readonly onStatement = (statement: unknown): void => {
    if (!/^\s*(INSERT|UPDATE|DELETE|COMMIT)\b/i.test(String(statement)) || --this.#left >= 0) return;
    if (this.#victim !== null) this.#victim.provider.offline = true;
    throw new Error('dead');
  };

  /** Runs `act` until the process dies before its write number `step`, and mounts again. Answers whether `act` came to its end. */
  async kill(m: Mounted, step: number, act: () => Promise<unknown>): Promise<{ revived: Mounted; isDone: boolean }> {
    this.#victim = m;
    this.#left = step;
    const isDone = await act().then(
      () => this.#left >= 0,
      () => false,
    );
    await settle();
    const revived = await m.crash({ ...m.options, onStatement: () => undefined });
    this.#left = Number.POSITIVE_INFINITY;
    this.#victim = null;
    await rested(revived);
    return { revived, isDone };
  }
}

const signal = new AbortController().signal;
const files = { 'docs/a': 'one', 'docs/f/b': 'two', 'docs/keep': 'three' };

/** An account of which this machine has given some attributes. */
async function prepared(options: HarnessOptions): Promise<Mounted> {
  const m = await mounted(options, ({ other }) => {
    for (const [path, text] of Object.entries(files)) other.put(path, text);
  });
  for (const path of ['docs', 'docs/f']) await m.names(path);
  await m.fs.setattr(await m.ino('docs/a'), { mode: 0o640, mtime: { sec: 7, nsec: 9 } });
  await m.fs.setattr(await m.ino('docs/f'), { mode: 0o711 });
  await m.fs.setattr(await m.ino('docs/f/b'), { mode: 0o600, mtime: { sec: 8, nsec: 1 } });
  return m;
}

const names = (m: Mounted): string[] => m.fs.trash.records.all().map(({ name }) => name);
const discard = async (m: Mounted, name: string): Promise<void> => m.fs.trash.moveIn(await m.ino('docs'), name, name);
const bringBack = async (m: Mounted, name: string, as: string): Promise<void> => {
  const item = m.fs.trash.records.named(name);
  if (item === undefined) throw new Error(`${name} is not in the trash`);
  await m.fs.trash.restoreTo(item, await m.ino('docs'), as);
};

interface Case {
  /** Before the process that is killed. */
  readonly first?: (m: Mounted) => Promise<unknown>;
  readonly act: (m: Mounted) => Promise<unknown>;
  /** What it takes away from the account. */
  readonly removes?: readonly string[];
  /** What a program removes by its name leaves its attributes behind. */
  readonly forgets?: true;
}

const cases: Readonly<Record<string, Case>> = {
  'a file and a folder go in': {
    act: async (m) => {
      await discard(m, 'a');
      await discard(m, 'f');
    },
  },
  'they come back by their names': {
    first: async (m) => {
      await discard(m, 'a');
      await discard(m, 'f');
    },
    act: async (m) => {
      await bringBack(m, 'a', 'a');
      await bringBack(m, 'f', 'f');
    },
  },
  'they come back under other names': {
    first: async (m) => {
      await discard(m, 'a');
      await discard(m, 'f');
    },
    act: async (m) => {
      await bringBack(m, 'a', 'a2');
      await bringBack(m, 'f', 'f2');
    },
  },
  'a command restores them': {
    first: async (m) => {
      await discard(m, 'f');
      await discard(m, 'a');
    },
    act: (m) => m.fs.trash.restoreNamed(['a', 'f'], () => undefined, signal),
  },
  'a command restores them with the folder that they were in': {
    first: async (m) => {
      await discard(m, 'f');
      await discard(m, 'a');
      await m.fs.trash.moveIn(m.fs.root, 'docs', 'docs');
    },
    act: (m) => m.fs.trash.restoreNamed(['docs', 'a', 'f'], () => undefined, signal),
  },
  'they are removed for ever': {
    first: async (m) => {
      await discard(m, 'a');
      await discard(m, 'f');
    },
    act: (m) => m.fs.trash.removeNamed(['a', 'f'], () => undefined, signal),
    removes: ['one', 'two'],
  },
  'rm and rm -r discard them': {
    act: async (m) => {
      await m.rm('docs/a');
      await m.rm('docs/f/b');
      await m.rmdir('docs/f');
    },
    forgets: true,
  },
};

const services: Readonly<Record<string, HarnessOptions>> = {
  'a service that remembers places': {},
  'a service that forgets places': { provider: { capabilities: { trashForgetsPlaces: true } } },
};

describe.each(Object.entries(services))('on %s', (service, options) => {
  // What nobody brings back needs no place.
  const isOfBoth = ({ removes, forgets }: Case): boolean => removes === undefined && forgets === undefined;
  const chosen = Object.entries(cases).filter(([, one]) => service === Object.keys(services)[0] || isOfBoth(one));
  it.each(chosen)('%s', async (_what, { first, act, removes = [], forgets }) => {
    for (let step = 0, isDone = false; !isDone; step++) {
      const killer = new Killer();
      const m = await prepared({ ...options, onStatement: killer.onStatement });
      await first?.(m);
      const dying = await killer.kill(m, step, () => act(m));
      isDone = dying.isDone;
      const { revived } = dying;
      const where = `killed before write ${step}`;
      // The list of the trash is that of the service.
      await revived.fs.trash.list(signal);
      expect(names(revived).length, where).toBe(revived.provider.other.trash().length);
      // All that was in it comes back.
      revived.clock.advance(120_000);
      const back = await revived.fs.trash.restoreNamed(names(revived), () => undefined, signal);
      expect(
        back.filter(({ error }) => error !== undefined),
        where,
      ).toEqual([]);
      revived.clock.advance(120_000);
      const tree = revived.provider.other.tree();
      const contents = Object.values(tree).sort();
      const lost = Object.values(files).filter((text) => !contents.includes(text));
      expect(
        lost.every((text) => removes.includes(text)),
        `${where}: ${lost}`,
      ).toBe(true);
      expect(contents.length, where).toBe(Object.keys(files).length - lost.length);
      expect(revived.provider.other.trash(), where).toEqual([]);
      // The mount shows the same, with all attributes.
      for (const [path, text] of Object.entries(tree)) {
        expect(await revived.cat(path), `${where}: ${path}`).toBe(text);
        if (forgets) continue;
        const expected = {
          one: { mode: 0o640, mtime: { sec: 7, nsec: 9 } },
          two: { mode: 0o600, mtime: { sec: 8, nsec: 1 } },
        };
        expect(await revived.stat(path), `${where}: ${path}`).toMatchObject(expected[text as 'one'] ?? {});
        if (text === 'two') expect((await revived.stat(path.slice(0, path.lastIndexOf('/')))).mode, where).toBe(0o711);
      }
      expect(revived.isClean(), where).toBe(true);
      await revived.unmount();
    }
  });
});
