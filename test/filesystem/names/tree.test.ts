import { describe, expect, it } from 'vitest';
import { errnoOf, mounted, reading, settle } from '../harness.js';

describe('listings', () => {
  it('of a cold directory cost one call, and warm names, attributes and df none', async () => {
    const m = await mounted({}, (provider) => {
      for (let n = 0; n < 50; n++) provider.other.put(`d/f${n}`, String(n));
    });
    await m.names();
    m.provider.counts();
    expect(await m.names('d')).toHaveLength(50);
    expect(m.provider.counts()).toEqual({ list: 1 });
    for (const name of await m.names('d')) await m.stat(`d/${name}`);
    expect(await errnoOf(m.stat('d/missing'))).toBe('ENOENT');
    expect(m.fs.statfs()).toMatchObject({ total: 1e9, free: 9e8, maxNameBytes: 255 });
    expect(m.provider.counts()).toEqual({});
  });

  it('are requested once for all callers at the same time (single-flight)', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a', ''));
    await Promise.all(Array.from({ length: 10 }, () => m.names()));
    expect(m.provider.counts()).toEqual({ list: 1 });
  });

  it('are asked for again after their ttl', async () => {
    const m = await mounted({ ttl: 10_000 }, (provider) => provider.other.put('a', ''));
    await m.names();
    m.provider.other.put('b', '');
    m.clock.advance(9_999);
    expect(await m.names()).toEqual(['a']);
    expect(m.fs.validity(m.fs.root)).toBe(1);
    m.clock.advance(1);
    expect(m.fs.validity(m.fs.root)).toBe(0);
    expect(await m.names()).toEqual(['a', 'b']);
  });

  it('have what this mount has stored since the folder above was listed, which says that there are no files', async () => {
    const m = await mounted({ ttl: 10_000 }, (provider) => {
      for (const name of ['x/1', 'd/e/1']) provider.other.put(name, '');
    });
    await m.names();
    m.clock.advance(5000);
    await m.names('d');
    m.clock.advance(5000);
    await m.names();
    m.clock.advance(2000);
    await m.put('d/mine', 'text');
    m.clock.advance(3001);
    m.provider.counts();
    expect(await m.names('d')).toEqual(['e', 'mine']);
    expect(m.provider.counts()).toEqual({ list: 1 });
  });

  it('of an earlier mount are served at once and renewed in the background', async () => {
    const m = await mounted({ ttl: 10_000 }, (provider) => provider.other.put('a', ''));
    await m.names();
    m.clock.advance(60_000);
    m.provider.other.put('b', '');
    const again = await m.remount();
    expect(await again.names()).toEqual(['a']);
    again.clock.advance(200);
    await settle();
    expect(await again.names()).toEqual(['a', 'b']);
    expect(again.invalidations).toContainEqual({ kind: 'entry', parent: again.fs.root, name: 'b' });
    expect(again.provider.counts()).toEqual({ list: 1 });
  });

  it('of an earlier mount are renewed once a walk over them has ended, those too that are served meanwhile', async () => {
    const m = await mounted({ ttl: 10_000 }, (provider) => {
      for (const name of ['x/1', 'y/1', 'z/1']) provider.other.put(name, '');
    });
    for (const path of ['', 'x', 'y', 'z']) await m.names(path);
    m.clock.advance(60_000);
    const again = await m.remount();
    again.provider.counts();
    await again.names('x');
    again.clock.advance(150);
    await again.names('y');
    again.clock.advance(50);
    await settle();
    expect(again.provider.counts()).toEqual({});
    again.clock.advance(150);
    await settle();
    // The walk has not been still for long enough since `y`: the pause begins anew each time it is looked at.
    again.clock.advance(200);
    const gate = again.provider.gate('list');
    await settle();
    await gate.reached;
    await again.names('z');
    gate.open();
    await settle();
    again.clock.advance(200);
    await settle();
    expect(again.provider.counts()).toEqual({ list: 4 });
  });

  it('list the neighbours of a walk ahead', async () => {
    const m = await mounted({}, (provider) => {
      for (let n = 0; n < 6; n++) provider.other.put(`d${n}/f`, '');
    });
    await m.names();
    await m.names('d0');
    await m.names('d1');
    await settle(10);
    m.provider.counts();
    for (let n = 2; n < 6; n++) await m.names(`d${n}`);
    expect(m.provider.counts()).toEqual({});
  });
});

describe('without the provider', () => {
  it('known folders and cached content stay readable, and the rest is an error', async () => {
    const m = await mounted({ ttl: 1000 }, (provider) => {
      provider.other.put('d/cached', 'text');
      provider.other.put('d/never read', 'text');
      provider.other.put('unknown/x', '');
    });
    await m.names('d');
    expect(await m.cat('d/cached')).toBe('text');
    m.provider.offline = true;
    m.clock.advance(60_000);
    expect(await m.names('d')).toEqual(['cached', 'never read']);
    expect(await m.cat('d/cached')).toBe('text');
    expect(await errnoOf(m.cat('d/never read'))).toBe('ENETUNREACH');
    expect(await errnoOf(m.names('unknown'))).toBe('ENETUNREACH');
    expect(await errnoOf(m.mkdir('new'))).toBe('ENETUNREACH');
    expect(m.fs.statfs().total).toBe(1e9);
  });

  it('folders are not asked for at every call', async () => {
    const m = await mounted({ ttl: 1000 }, (provider) => provider.other.put('a', ''));
    await m.names();
    m.clock.advance(60_000);
    m.provider.offline = true;
    m.provider.counts();
    for (let n = 0; n < 10; n++) await m.stat('a');
    expect(m.provider.counts()).toEqual({ list: 1 });
    m.clock.advance(5_001);
    await m.stat('a');
    expect(m.provider.counts()).toEqual({ list: 1 });
  });

  it('nobody waits for a known folder once the service has been silent for a while, and it is seen when it is back', async () => {
    const m = await mounted({ ttl: 1000 }, (provider) => {
      for (const name of ['a/f', 'b/f', 'c/f']) provider.other.put(name, '');
    });
    for (const name of ['', 'a', 'b', 'c']) await m.names(name);
    m.clock.advance(60_000);
    // Requests are tried again and again for a minute.
    const gate = m.provider.gate('list');
    m.provider.outage = { since: m.clock.now(), error: 'no connection' };
    m.clock.advance(5_000);
    m.provider.counts();
    for (const name of ['', 'a', 'b', 'c', '']) expect(await m.names(name)).not.toEqual([]);
    expect(m.provider.counts()).toEqual({ list: 1 });
    m.provider.other.put('b/new', '');
    m.provider.outage = null;
    gate.open();
    await expect.poll(() => m.names('b')).toEqual(['f', 'new']);
  });

  it('and while it does not answer, a known folder is served after a while', async () => {
    const m = await mounted({ ttl: 1000 }, (provider) => provider.other.put('a', ''));
    await m.names();
    m.clock.advance(60_000);
    const gate = m.provider.gate('list');
    const listed = m.names();
    await gate.reached;
    m.clock.advance(5_000);
    expect(await listed).toEqual(['a']);
    gate.open();
  });
});

describe('a listing that races a change of ours', () => {
  it.each([
    ['mkdir', async (m) => void (await m.mkdir('new')), ['a', 'd', 'new']],
    ['create', async (m) => m.put('new', 'x'), ['a', 'd', 'new']],
    ['unlink', async (m) => m.rm('a'), ['d']],
    ['rmdir', async (m) => m.rmdir('d'), ['a']],
    ['rename', async (m) => m.mv('a', 'b'), ['b', 'd']],
    ['overwrite', async (m) => m.put('a', 'longer'), ['a', 'd']],
  ] as [string, (m: Awaited<ReturnType<typeof mounted>>) => Promise<void>, string[]][])(
    'does not undo %s',
    async (_what, act, expected) => {
      const m = await mounted({}, (provider) => {
        provider.other.put('a', 'old');
        provider.other.mkdir('d');
      });
      await m.names();
      await m.names('d');
      const gate = m.provider.gate('list', 'after');
      const listing = m.core.directories.refresh(m.fs.root);
      await gate.reached;
      await act(m);
      const sizes = (await m.fs.readdir(m.fs.root)).map(({ attributes }) => attributes.size);
      gate.open();
      await listing;
      expect(await m.names()).toEqual(expected);
      expect((await m.fs.readdir(m.fs.root)).map(({ attributes }) => attributes.size)).toEqual(sizes);
    },
  );
});

describe('names that cannot exist here', () => {
  it('are shown under others, and reading, writing, renaming and removing reach the right object', async () => {
    const m = await mounted({}, ({ other }) => {
      other.add('file', other.rootId, 'x/y', Buffer.from('slash'));
      other.add('file', other.rootId, 'twin', Buffer.from('one'));
      other.add('file', other.rootId, 'twin', Buffer.from('two'));
      other.add('folder', other.rootId, '..');
    });
    expect(await m.names()).toEqual(['%2E%2E', 'twin', 'twin (~ff3)', 'x%2Fy']);
    expect(await m.cat('x%2Fy')).toBe('slash');
    await m.put('twin (~ff3)', 'TWO');
    await m.put('x%2Fy', 'SLASH');
    expect(m.provider.other.list('root').map(({ name }) => name)).toEqual(['x/y', 'twin', 'twin', '..']);
    expect(Buffer.from(m.provider.other.node('file', 'f3').data).toString()).toBe('TWO');
    await m.rm('twin');
    expect(await m.cat('twin (~ff3)')).toBe('TWO');
    await m.mv('x%2Fy', 'plain');
    expect(m.provider.other.at('plain')?.id).toBe('f1');
    await m.rmdir('%2E%2E');
    expect(await m.names()).toEqual(['plain', 'twin (~ff3)']);
  });
});

describe('an interrupted call', () => {
  const interrupted = () => {
    const abort = new AbortController();
    return { abort, caller: { signal: abort.signal } };
  };

  it('says ESTALE of a directory that is gone when it is read: the C library takes ENOENT for its end', async () => {
    const m = await mounted({}, (provider) => provider.other.put('d/f', 'x'));
    const d = await m.ino('d');
    m.provider.fail('list', 'not-found');
    expect(await errnoOf(m.fs.readdir(d))).toBe('ESTALE');
    m.provider.fail('list', 'not-found');
    expect(await errnoOf(m.fs.lookup(d, 'f'))).toBe('ENOENT');
  });

  it.each(['lookup', 'readdir', 'open'] as const)(
    'of %s ends with EINTR while the provider is silent',
    async (call) => {
      const m = await mounted({ ttl: 1000 }, (provider) => provider.other.put('d/a', 'x'));
      const d = await m.ino('d');
      const a = call === 'open' ? await m.ino('d/a') : 0;
      m.clock.advance(60_000);
      const gate = m.provider.gate('list');
      const { abort, caller } = interrupted();
      const work = {
        lookup: () => m.fs.lookup(d, 'a', caller),
        readdir: () => m.fs.readdir(d, caller),
        open: () => m.fs.open(a, reading, caller),
      }[call]();
      await gate.reached;
      abort.abort();
      expect(await errnoOf(work)).toBe('EINTR');
      gate.open();
    },
  );

  it('of read ends with EINTR, and the next read gets the bytes', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a', 'text'));
    const handle = await m.open('a');
    const gate = m.provider.gate('read');
    const { abort, caller } = interrupted();
    const read = m.read(handle, 0, 10, caller);
    await gate.reached;
    abort.abort();
    expect(await errnoOf(read)).toBe('EINTR');
    gate.open();
    expect(await m.read(handle)).toBe('text');
    await m.close(handle);
  });

  it('of close ends with EINTR, and the upload goes on', async () => {
    const m = await mounted();
    const handle = await m.create('a');
    await m.write(handle, 'text');
    const gate = m.provider.gate('upload');
    const { abort, caller } = interrupted();
    const flushed = m.fs.flush(handle, caller);
    await gate.reached;
    abort.abort();
    expect(await errnoOf(flushed)).toBe('EINTR');
    await m.fs.release(handle);
    gate.open();
    await m.fs.uploader.drain();
    expect(m.provider.other.tree()).toEqual({ a: 'text' });
    expect(m.isClean()).toBe(true);
  });

  it('of write that waits for an upload writes nothing later', async () => {
    const m = await mounted();
    const handle = await m.create('a');
    await m.write(handle, 'text');
    const gate = m.provider.gate('upload');
    const flushed = m.fs.flush(handle);
    await gate.reached;
    const { abort, caller } = interrupted();
    const written = m.fs.write(handle, Buffer.from('XXXX'), 0, caller);
    abort.abort();
    expect(await errnoOf(written)).toBe('EINTR');
    gate.open();
    await flushed;
    await m.close(handle);
    expect(m.provider.other.tree()).toEqual({ a: 'text' });
  });

  it.each(['mkdir', 'unlink', 'rmdir'] as const)(
    'of %s ends with EINTR, and the folder is listed anew',
    async (call) => {
      const m = await mounted({}, (provider) => {
        provider.other.put('a', 'x');
        provider.other.mkdir('d');
      });
      await m.names('d');
      const { root } = m.fs;
      const method = call === 'mkdir' ? 'createFolder' : 'trash';
      const gate = m.provider.gate(method, 'after');
      const { abort, caller } = interrupted();
      const work = {
        mkdir: () => m.fs.mkdir(root, 'new', 0o755, caller),
        unlink: () => m.fs.unlink(root, 'a', caller),
        rmdir: () => m.fs.rmdir(root, 'd', caller),
      }[call]();
      await gate.reached;
      abort.abort();
      expect(await errnoOf(work)).toBe('EINTR');
      const expected = { mkdir: ['a', 'd', 'new'], unlink: ['d'], rmdir: ['a'] }[call];
      expect(await m.names()).toEqual(expected);
    },
  );
});

describe('the quota', () => {
  it('is renewed in the background, never waited for', async () => {
    const m = await mounted();
    m.clock.advance(60_001);
    m.provider.counts();
    expect(m.fs.statfs().free).toBe(9e8);
    m.fs.statfs();
    expect(m.provider.counts()).toEqual({ account: 1 });
  });

  it('is large and plausible where the provider has none', async () => {
    const m = await mounted({ provider: { capabilities: { quota: false } } });
    expect(m.fs.statfs().total).toBe(1024 ** 5);
    expect(m.fs.quota()).toBeNull();
  });
});
