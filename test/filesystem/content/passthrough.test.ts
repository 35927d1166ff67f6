/** Files that the kernel reads by itself: `backing` must hold what a program is to see, whatever becomes of the content. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Backing, HandleId } from '../../../src/filesystem/api.js';
import { type HarnessOptions, type Mounted, mounted, overwriting, reading, writing } from '../harness.js';

const pending: HarnessOptions = { writeBack: true };

/** A mount with the file `f`, which waits for its upload. */
async function waiting(text: string, options: HarnessOptions = pending): Promise<Mounted> {
  const mount = await mounted(options);
  await mount.names();
  mount.provider.offline = true;
  await mount.put('f', text);
  await mount.fs.uploader.drain();
  return mount;
}

function lent(mount: Mounted, handle: HandleId): Backing {
  const backing = mount.fs.backing(handle);
  if (backing === null) throw new Error('not lent');
  return backing;
}

/** All of it, from the beginning. */
function contentOf({ fd }: Backing): string {
  return readFileSync(`/proc/self/fd/${fd}`, 'utf8');
}

async function store(mount: Mounted): Promise<void> {
  mount.provider.offline = false;
  mount.fs.retryFailed();
  await mount.fs.uploader.drain();
  expect(await mount.fs.uploader.pending(mount.fs.root)).toEqual([]);
}

describe.skipIf(process.platform !== 'linux')(
  'a content that is not stored yet (skipped where there is no /proc)',
  () => {
    it('is one backing file for all its readers, and shows what other handles write, cut and append', async () => {
      const mount = await waiting('0123456789');
      const [first, second] = [await mount.open('f'), await mount.open('f')];
      const backing = lent(mount, first);
      expect(lent(mount, second)).toBe(backing);
      expect(contentOf(backing)).toBe('0123456789');
      const writer = await mount.open('f', writing);
      expect(mount.fs.backing(writer)).toBeNull();
      await mount.write(writer, 'ABC', 2);
      expect(contentOf(backing)).toBe('01ABC56789');
      await mount.fs.setattr(await mount.ino('f'), { size: 4, handle: writer });
      await mount.write(writer, 'end', 4);
      expect(contentOf(backing)).toBe('01ABend');
      for (const handle of [writer, first, second]) await mount.close(handle);
      expect(await mount.cat('f')).toBe('01ABend');
    });

    it('stays with its readers when it is stored, and they see what is written after that', async () => {
      const mount = await waiting('stored soon');
      const reader = await mount.open('f');
      const backing = lent(mount, reader);
      await store(mount);
      expect(contentOf(backing)).toBe('stored soon');
      // The next reader joins: it is the same file, in the cache now.
      const other = await mount.open('f');
      expect(lent(mount, other)).toBe(backing);
      await mount.close(other);
      const writer = await mount.open('f', writing);
      await mount.write(writer, 'STORED');
      expect(contentOf(backing)).toBe('STORED soon');
      await mount.close(writer);
      await mount.close(reader);
      await store(mount);
      expect(mount.provider.other.tree()).toEqual({ f: 'STORED soon' });
      expect(await mount.cat('f')).toBe('STORED soon');
    });

    it('is not cut, evicted or counted while it is read, where the cache takes it and where not', async () => {
      for (const cacheSize of [3_000_000, 150_000]) {
        const text = 'x'.repeat(100_000);
        const mount = await waiting(text, { ...pending, cacheSize });
        const reader = await mount.open('f');
        const backing = lent(mount, reader);
        await store(mount);
        expect(mount.cache.stats().bytes).toBe(cacheSize > 200_000 ? 100_000 : 0);
        mount.cache.reclaim(10_000_000);
        for (const name of ['a', 'b', 'c']) await mount.put(name, 'y'.repeat(70_000));
        await store(mount);
        expect(contentOf(backing)).toBe(text);
        const writer = await mount.open('f', writing);
        await mount.write(writer, 'written');
        expect(contentOf(backing)).toBe(`written${'x'.repeat(99_993)}`);
        await mount.close(writer);
        await mount.close(reader);
        await store(mount);
        expect(mount.cache.stats().bytes).toBeLessThanOrEqual(cacheSize);
        await mount.unmount();
      }
    });

    it('can still be read when it is removed, renamed or replaced', async () => {
      const mount = await waiting('one');
      const reader = await mount.open('f');
      const backing = lent(mount, reader);
      await mount.put('g', 'two');
      mount.provider.offline = false;
      await mount.fs.rename(mount.fs.root, 'f', mount.fs.root, 'h', overwriting);
      expect(contentOf(backing)).toBe('one');
      await mount.fs.rename(mount.fs.root, 'g', mount.fs.root, 'h', overwriting);
      expect(contentOf(backing)).toBe('one');
      const later = await mount.open('h');
      await mount.rm('h');
      if (mount.fs.backing(later) !== null) expect(contentOf(lent(mount, later))).toBe('two');
      expect(await mount.read(later)).toBe('two');
      await mount.close(later);
      await mount.close(reader);
      await mount.fs.uploader.drain();
      expect(await mount.names()).toEqual([]);
    });

    it('is a backing file only if no bytes of its base are missing', async () => {
      const mount = await mounted(pending, (provider) => provider.other.put('f', 'a'.repeat(200_000)));
      const writer = await mount.open('f', writing);
      await mount.write(writer, 'bbb', 100_000);
      const reader = await mount.open('f', reading);
      expect(mount.fs.backing(reader)).toBeNull();
      await mount.close(writer);
      await mount.close(reader);
    });
  },
);
