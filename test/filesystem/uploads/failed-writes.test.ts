// @module-tag long
/**
 * One write of the state database fails, the first, the second and so on, as where the disk is full for a moment. The program that
 * asked is told, or its call has done what it should. Afterwards the mount, the next one and the service have the same.
 */
import { describe, expect, it } from 'vitest';
import { type HarnessOptions, intents, type Mounted, mounted, settle, writing } from '../harness.js';

class DiskFull extends Error {
  readonly code = 'SQLITE_FULL';
}

/** Lets one write fail. */
class Full {
  #left = Number.POSITIVE_INFINITY;
  hasFailed = false;

  readonly onStatement = (statement: unknown): void => {
    if (!/^\s*(INSERT|UPDATE|DELETE|COMMIT)\b/i.test(String(statement)) || --this.#left !== -1) return;
    this.hasFailed = true;
    throw new DiskFull('database or disk is full');
  };

  at(step: number): void {
    this.#left = step;
    this.hasFailed = false;
  }

  /** There is room. */
  end(): void {
    this.#left = Number.POSITIVE_INFINITY;
  }
}

const files = { 'd/a': 'one', 'd/b': 'two', 'd/e/c': 'three' };

/** What a program does, and its name for messages. */
const acts: Readonly<Record<string, (m: Mounted) => Promise<unknown>>> = {
  'a new file': (m) => m.put('d/new', 'new content'),
  'an empty file': (m) => m.put('d/new', ''),
  'an overwrite': (m) => m.put('d/a', 'new content'),
  'a change': async (m) => {
    const handle = await m.open('d/a', writing);
    try {
      await m.write(handle, 'O');
      await m.fs.fsync(handle);
    } finally {
      await m.close(handle);
    }
  },
  'a truncation': (m) => m.truncate('d/a', 1),
  'a rename': (m) => m.mv('d/a', 'd/e/moved'),
  'a replace': (m) => m.mv('d/a', 'd/b'),
  'a rename of a folder': (m) => m.mv('d/e', 'd/moved'),
  'a removal': (m) => m.rm('d/a'),
  'a new folder': (m) => m.mkdir('d/folder'),
  'a removal of a folder': (m) => m.rmdir('d/empty'),
  'a symbolic link': async (m) => m.fs.symlink(await m.ino('d'), 'link', Buffer.from('a')),
  'a hard link': async (m) => m.fs.link(await m.ino('d/a'), await m.ino('d'), 'hard'),
  'the removal of a first name': async (m) => {
    await m.fs.link(await m.ino('d/a'), await m.ino('d'), 'hard');
    await m.rm('d/a');
  },
  'a mode': async (m) => m.fs.setattr(await m.ino('d/a'), { mode: 0o600 }),
  'the trash': async (m) => m.fs.trash.moveIn(await m.ino('d'), 'a', 'a'),
  'a removal while it is open': async (m) => {
    const handle = await m.open('d/a', writing);
    try {
      await m.write(handle, 'O');
      await m.rm('d/a');
    } finally {
      await m.close(handle);
    }
  },
};

/** Paths and contents as the mount shows them. */
async function shown(m: Mounted, at = ''): Promise<Record<string, string>> {
  const tree: Record<string, string> = {};
  for (const name of await m.names(at)) {
    const path = at === '' ? name : `${at}/${name}`;
    const { kind } = await m.stat(path);
    if (kind === 'directory') Object.assign(tree, await shown(m, path));
    else if (kind === 'file') tree[path] = await m.cat(path);
  }
  return tree;
}

const pathsOf = async (m: Mounted): Promise<string[]> => Object.keys(await shown(m).catch(() => ({})));

async function quiet(m: Mounted): Promise<void> {
  for (let turn = 0; turn < 4; turn++) {
    await settle();
    await m.fs.uploader.drain();
    m.clock.advance(700_000);
  }
  for (let turn = 1; intents(m) !== 0; turn++) {
    if (turn > 400)
      throw new Error(
        `${JSON.stringify(m.core.state.sql.prepare('SELECT * FROM intent').all())} ${m.messages.slice(-6).join('\n')}`,
      );
    await settle(1);
    if (turn % 20 === 0) m.clock.advance(10_000);
  }
  await m.fs.uploader.drain();
}

/** A file with several names has one of them at the service. */
const sorted = (tree: Record<string, string>): string[] => [...new Set(Object.values(tree))].sort();

/** What write-back does in its own way; all else goes through the same code in both. */
const ofWriteBack = ['a new file', 'an overwrite', 'a truncation', 'a replace'];

const modes: readonly [string, HarnessOptions, readonly string[]][] = [
  ['stored at close', {}, Object.keys(acts)],
  ['write-back', { writeBack: true }, ofWriteBack],
];

describe.each(modes)('%s', (_mode, options, names) => {
  it.each(names)('%s', async (name) => {
    const act = acts[name];
    if (act === undefined) throw new Error(`no act ${name}`);
    for (let step = 0, hasFailed = true; hasFailed; step++) {
      const full = new Full();
      const m = await mounted({ ...options, onStatement: full.onStatement }, ({ other }) => {
        for (const [path, text] of Object.entries(files)) other.put(path, text);
        other.mkdir('d/empty');
      });
      for (const path of ['d', 'd/e', 'd/empty']) await m.names(path);
      full.at(step);
      const error: unknown = await act(m).then(
        () => null,
        (thrown: unknown) => thrown,
      );
      await settle();
      hasFailed = full.hasFailed;
      full.end();
      const where = `write ${step} fails, ${error === null ? 'no error' : `told: ${error}`}`;
      if (error !== null) expect((error as { code: string }).code, where).toMatch(/^(ENOSPC|SQLITE_FULL)$/);
      if (error !== null && options.writeBack !== true) {
        const seen = new Set(await pathsOf(m));
        const stored = Object.keys(m.provider.other.tree()).filter((path) => !path.includes('kept by syncmount'));
        expect(
          stored.filter((path) => !seen.has(path)),
          `${where}: not shown at once`,
        ).toEqual([]);
      }
      await quiet(m).catch((thrown) => {
        throw new Error(`${where}: ${thrown.message}`);
      });
      const here = await shown(m);
      const there = m.provider.other.tree();
      expect(sorted(here), where).toEqual(sorted(there));
      expect(m.isClean(), where).toBe(true);
      const next = await m.remount({ ...options });
      await quiet(next);
      next.clock.advance(700_000);
      expect(await shown(next), where).toEqual(here);
      expect(next.provider.other.tree(), where).toEqual(there);
      // A second try does it, unless the first one has.
      if (error !== null) {
        const again: unknown = await act(next).then(
          () => null,
          (thrown: unknown) => thrown,
        );
        if (again !== null) expect((again as { code: string }).code, where).toMatch(/^(ENOENT|EEXIST)$/);
        await quiet(next);
        expect(sorted(await shown(next)), where).toEqual(sorted(next.provider.other.tree()));
      }
      await next.unmount();
    }
  });
});
