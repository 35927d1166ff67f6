import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ProviderError } from '../../../src/providers/errors.js';
import type { SpoolFile } from '../../../src/spool/spool-file.js';
import { appending, dieAt, emptying, type Mounted, mounted, settle, writing } from '../harness.js';

describe('with write-back, after the process died', () => {
  it.each(['before', 'after'] as const)('an upload that died %s the provider did it is stored once', async (when) => {
    const m = await mounted({ writeBack: true }, (provider) => provider.other.put('a', 'old'));
    const gate = m.provider.gate('upload', when);
    await m.put('a', 'new content');
    await m.put('b', 'another');
    await gate.reached;
    const revived = await m.crash();
    gate.open(new ProviderError('network', 'the process is dead'));
    await settle();
    expect(await revived.cat('a')).toBe('new content');
    await revived.fs.uploader.drain();
    expect(revived.provider.other.tree()).toMatchObject({ a: 'new content' });
    expect(Object.keys(revived.provider.other.tree())).not.toContain(expect.stringContaining('conflict'));
    expect(revived.isClean()).toBe(true);
    expect(readdirSync(join(revived.directory, 'spool'))).toEqual([]);
  });

  it('a content that has lost its name is shown under one, and kept', async () => {
    const m = await mounted({ writeBack: true });
    const handle = await m.create('a');
    await m.write(handle, 'replaced');
    m.core.table.update(await m.ino('a'), { parent: null, remote: null, localSize: null });
    const revived = await m.crash();
    expect(await revived.pending()).toEqual(['/Rescued (box)/a failed']);
    expect(await revived.cat('Rescued (box)/a')).toBe('replaced');
    revived.fs.retryFailed();
    await revived.fs.uploader.drain();
    expect(revived.provider.other.tree()).toEqual({ 'Rescued (box)/a': 'replaced' });
  });

  it('what close() accepted is there at once and uploaded in the background', async () => {
    const m = await mounted({ writeBack: true });
    m.provider.gate('upload');
    await m.put('a', 'text');
    const revived = await m.crash();
    expect(await revived.cat('a')).toBe('text');
    expect((await revived.stat('a')).size).toBe(4);
    await revived.fs.uploader.drain();
    expect(revived.provider.other.tree()).toEqual({ a: 'text' });
  });

  it('an upload resumes after the last part that the server took', async () => {
    const m = await mounted({ writeBack: true, provider: { partBytes: 1000 } });
    const text = 'x'.repeat(10_000);
    const handle = await m.create('a');
    await m.write(handle, text);
    await m.fs.flush(handle);
    let parts = 0;
    const died = new Promise<void>((resolve) => {
      const { setCheckpoint } = m.core.journal;
      m.core.journal.setCheckpoint = (ino, checkpoint) => {
        setCheckpoint.call(m.core.journal, ino, checkpoint);
        if (++parts === 6) resolve();
      };
    });
    await died;
    const taken = m.provider.takenBytes;
    const revived = await m.crash();
    await revived.fs.uploader.drain();
    expect(revived.provider.other.tree()).toEqual({ a: text });
    expect(revived.provider.takenBytes).toBeLessThanOrEqual(10_000 - taken + 1000);
    expect(taken).toBeGreaterThan(3000);
  });

  it('an orderly end keeps what the server has of an upload', async () => {
    const m = await mounted({ writeBack: true, provider: { partBytes: 1000 } });
    const handle = await m.create('a');
    await m.write(handle, 'x'.repeat(5000));
    const gate = m.provider.gate('upload', 'after');
    await m.close(handle);
    await gate.reached;
    await m.fs.uploader.interrupt();
    expect(m.core.journal.all()[0]).toMatchObject({ state: 'queued', checkpoint: expect.anything() });
    const revived = await m.crash();
    await revived.fs.uploader.drain();
    expect(revived.provider.takenBytes).toBe(0);
    expect(revived.provider.other.tree()).toEqual({ a: 'x'.repeat(5000) });
  });

  it('no part of an older content is taken for one of a newer', async () => {
    const m = await mounted({ writeBack: true, provider: { partBytes: 1000 } });
    const handle = await m.create('a');
    await m.write(handle, 'x'.repeat(3000));
    const gate = m.provider.gate('upload', 'after');
    await m.fs.flush(handle);
    await gate.reached;
    await m.write(handle, 'y');
    expect(m.core.journal.all()[0]?.checkpoint ?? null).toBeNull();
    await m.close(handle);
    await m.fs.uploader.drain();
    expect(m.provider.other.tree()).toEqual({ a: `y${'x'.repeat(2999)}` });
  });

  it('a content that was accepted and then emptied without a close is not uploaded as zeros', async () => {
    const m = await mounted({ writeBack: true });
    m.provider.gate('upload');
    await m.put('a', 'accepted');
    await m.open('a', emptying);
    const revived = await m.crash();
    await revived.fs.uploader.drain();
    expect(revived.provider.other.tree()).toEqual({ a: '' });
  });

  it('a content that was accepted, and died as it was about to be emptied, does not come back as zeros', async () => {
    const m = await mounted({ writeBack: true }, (provider) => provider.other.put('a', 'x'.repeat(3000)));
    const ino = await m.ino('a');
    m.provider.offline = true;
    // Most of it is still the base's: on the disk it is a hole.
    await m.fs.setattr(ino, { size: 2000 });
    const spool = m.core.files.state(ino)?.spool as SpoolFile;
    spool.truncate = () => new Promise(() => undefined);
    m.open('a', emptying).catch(() => undefined);
    await settle();
    const revived = await m.crash();
    await revived.fs.uploader.drain();
    expect(await revived.cat('a')).toBe('');
    expect(revived.provider.other.tree()).toEqual({ a: '' });
    expect(revived.isClean()).toBe(true);
  });

  it('a write after an accepted close leaves a content that is uploaded all the same', async () => {
    const m = await mounted({ writeBack: true });
    m.provider.gate('upload');
    await m.put('a', 'accepted');
    const handle = await m.open('a', writing);
    await m.write(handle, 'ACC');
    const revived = await m.crash();
    await revived.fs.uploader.drain();
    expect(revived.provider.other.tree()).toEqual({ a: 'ACCepted' });
    expect(revived.isClean()).toBe(true);
  });

  it('a file that replaced another by rename before it was stored replaces it, and is no conflict', async () => {
    const m = await mounted({ writeBack: true }, (provider) => provider.other.put('b', 'old'));
    await m.names();
    m.provider.gate('upload');
    const handle = await m.create('a');
    await m.write(handle, 'new');
    await m.mv('a', 'b');
    await m.close(handle);
    const revived = await m.crash();
    expect(await revived.names()).toEqual(['b']);
    await revived.fs.uploader.drain();
    expect(revived.provider.other.tree()).toEqual({ b: 'new' });
  });

  it('a change of a file whose id changed with its name is no conflict', async () => {
    const m = await mounted({ writeBack: true, provider: { newIds: true } }, (provider) =>
      provider.other.put('a', 'some text'),
    );
    const handle = await m.open('a', writing);
    await m.write(handle, 'SOME');
    await m.mv('a', 'b');
    m.provider.gate('upload');
    await m.close(handle);
    const revived = await m.crash();
    await revived.fs.uploader.drain();
    expect(revived.provider.other.tree()).toEqual({ b: 'SOME text' });
  });
});

describe('after the process died while a file was being written', () => {
  it('a content that fsync accepted is uploaded', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a', '0123456789'));
    const handle = await m.open('a', writing);
    await m.write(handle, 'XY', 4);
    await m.fs.fsync(handle);
    const revived = await m.crash();
    expect(await revived.cat('a')).toBe('0123XY6789');
    await revived.fs.uploader.drain();
    expect(revived.provider.other.tree()).toEqual({ a: '0123XY6789' });
    expect(revived.isClean()).toBe(true);
  });

  it('a new content that nobody was promised is kept, listed as failed, and stored when asked', async () => {
    const m = await mounted();
    const handle = await m.create('a');
    await m.write(handle, 'half a fi');
    const revived = await m.crash();
    await revived.fs.uploader.drain();
    expect(revived.provider.other.tree()).toEqual({});
    expect(await revived.pending()).toEqual(['/a failed']);
    expect(await revived.cat('a')).toBe('half a fi');
    revived.fs.uploader.retryFailed();
    await revived.fs.uploader.drain();
    expect(revived.provider.other.tree()).toEqual({ a: 'half a fi' });
  });

  it('nothing that was written behind the accepted end shows in a hole later', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a', 'old'));
    const handle = await m.open('a', emptying);
    await m.write(handle, 'accepted');
    await m.fs.fsync(handle);
    await m.write(handle, 'not accepted', 20);
    const revived = await m.crash();
    expect(await revived.cat('a')).toBe('accepted');
    const again = await revived.open('a', writing);
    await revived.write(again, 'end', 30);
    await revived.close(again);
    const text = `accepted${'\0'.repeat(22)}end`;
    expect(await revived.cat('a')).toBe(text);
    await revived.fs.uploader.drain();
    expect(revived.provider.other.tree()).toEqual({ a: text });
  });

  it('the version at the provider is not replaced by what was half written', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a', 'whole'));
    const handle = await m.open('a', emptying);
    await m.write(handle, 'ha');
    const revived = await m.crash();
    await revived.fs.uploader.drain();
    expect(revived.provider.other.tree()).toEqual({ a: 'whole' });
    expect(await revived.pending()).toEqual(['/a failed']);
  });

  it('a file that was opened and not changed is as if nobody had opened it', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a', 'whole'));
    const handle = await m.open('a');
    const { state } = m.core.files.handle(handle);
    m.provider.gate('trash');
    const unlinking = m.rm('a').catch(() => undefined);
    while (state.spool === null) await settle(1);
    await settle();
    const revived = await m.crash();
    expect(revived.isClean()).toBe(true);
    expect(await revived.cat('a')).toBe('whole');
    expect(readdirSync(join(revived.directory, 'spool'))).toEqual([]);
    void unlinking;
  });

  it.each(['before', 'after'] as const)('close() interrupted %s the provider stored it is finished', async (when) => {
    const m = await mounted({}, (provider) => provider.other.put('a', 'old'));
    const revived = await dieAt(m, { method: 'upload', when }, () => m.put('a', 'new'));
    await revived.fs.uploader.drain();
    expect(revived.provider.other.tree()).toEqual({ a: 'new' });
    expect(revived.isClean()).toBe(true);
  });

  it('a file that was cut off, and that is to be stored as it is, is not given up again with the process', async () => {
    const m = await mounted();
    const handle = await m.create('a');
    await m.write(handle, 'half');
    const revived = await m.crash();
    expect(await revived.pending()).toEqual(['/a failed']);
    const upload = revived.provider.gate('upload', 'after');
    revived.fs.retryFailed();
    await upload.reached;
    // Its upload is cancelled, and then the process dies.
    const again = await dieAt(revived, { method: 'list', when: 'before' }, () => revived.rm('a'));
    await again.fs.uploader.drain();
    expect(await again.pending()).toEqual([]);
    expect(again.provider.other.tree()).toEqual({ a: 'half' });
  });

  it('a refused content is tried again, and its file goes on being writable', async () => {
    const m = await mounted();
    m.provider.fail('upload', 'quota');
    await m.put('a', 'text').catch(() => undefined);
    const revived = await m.crash();
    const handle = await revived.open('a', appending);
    await revived.write(handle, ' more');
    await revived.close(handle);
    await revived.fs.uploader.drain();
    expect(revived.provider.other.tree()).toEqual({ a: 'text more' });
    expect(revived.isClean()).toBe(true);
  });
});

describe('a partly changed file whose upload the process did not live to see stored', () => {
  it.each([[true], [false]])(
    'needs nothing more of the version that it replaced (the provider tells md5: %s)',
    async (md5) => {
      const m = await mounted({ provider: { capabilities: { md5 } } }, (provider) =>
        provider.other.put('a', 'a content that is changed in the middle'),
      );
      const gate = m.provider.gate('upload', 'after');
      const handle = await m.open('a', writing);
      await m.write(handle, 'CONTENT', 2);
      const closing = m.close(handle).catch(() => undefined);
      await gate.reached;
      rmSync(join(m.directory, 'cache'), { recursive: true });
      const revived = await m.crash();
      gate.open(new ProviderError('network', 'the process is dead'));
      await closing;
      await revived.fs.uploader.drain();
      expect(await revived.cat('a')).toBe('a CONTENT that is changed in the middle');
      expect(revived.provider.other.tree()).toEqual({ a: 'a CONTENT that is changed in the middle' });
      expect(revived.isClean()).toBe(true);
    },
  );
});

describe('an upload whose answer the process did not live to hear', () => {
  const interrupted = async () => {
    const m = await mounted({ writeBack: true });
    return dieAt(m, { method: 'upload', when: 'after' }, () => m.put('a', 'first'));
  };

  it('is replaced by what is written next, and is no conflict', async () => {
    const revived = await interrupted();
    const upload = revived.provider.gate('upload');
    await revived.put('a', 'second content');
    upload.open();
    await revived.fs.uploader.drain();
    expect(revived.provider.other.tree()).toEqual({ a: 'second content' });
    expect(revived.isClean()).toBe(true);
  });

  it('goes with the file that is removed next', async () => {
    const revived = await interrupted();
    revived.provider.gate('upload');
    await revived.rm('a');
    expect(revived.provider.other.tree()).toEqual({});
  });

  it('goes with its file to another name', async () => {
    const revived = await interrupted();
    revived.provider.fail('upload', 'quota', 3);
    await revived.fs.uploader.drain();
    await revived.mv('a', 'b');
    revived.fs.uploader.retryFailed();
    await revived.fs.uploader.drain();
    expect(revived.provider.other.tree()).toEqual({ b: 'first' });
  });
});

describe('after the process died in the middle of a change of names', () => {
  it.each([
    ['unlink', 'trash' as const, (m: Mounted): Promise<unknown> => m.rm('a'), ['b']],
    ['rename', 'move' as const, (m: Mounted): Promise<unknown> => m.mv('a', 'c'), ['b', 'c']],
    ['mkdir', 'createFolder' as const, (m: Mounted): Promise<unknown> => m.mkdir('d'), ['a', 'b', 'd']],
  ])('shows what came of %s, and not first what was before', async (_what, method, act, after) => {
    const m = await mounted({}, (provider) => {
      provider.other.put('a', 'one');
      provider.other.put('b', 'two');
    });
    await m.names();
    const revived = await dieAt(m, { method, when: 'after' }, () => act(m));
    expect(await revived.names()).toEqual(after);
    await settle();
    expect(revived.core.state.sql.prepare('SELECT * FROM intent').all()).toEqual([]);
  });

  it('a rename over a file that was not stored yet is done where the provider had done it', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a', 'stored'));
    const handle = await m.create('b');
    await m.write(handle, 'being written');
    const revived = await dieAt(m, { method: 'move', when: 'after' }, () => m.mv('a', 'b'));
    expect(await revived.names()).toEqual(['b']);
    expect(await revived.cat('b')).toBe('stored');
    expect(revived.isClean()).toBe(true);
    expect(revived.provider.other.tree()).toEqual({ b: 'stored' });
  });

  it('a file that was about to be made is not there', async () => {
    const m = await mounted();
    m.core.table.insert({ parent: m.fs.root, name: 'a', kind: 'file', localSize: 0 });
    const revived = await m.crash();
    expect(await revived.names()).toEqual([]);
  });
});

describe('after a remount', () => {
  it('inode numbers, names, overlays and extended attributes are the same, without a request', async () => {
    const m = await mounted({}, (provider) => provider.other.put('d/a', 'text'));
    const ino = await m.ino('d/a');
    await m.fs.setattr(ino, { mode: 0o640, uid: 5, gid: 6, mtime: { sec: 1, nsec: 2 }, atime: { sec: -3, nsec: 4 } });
    m.fs.setxattr(ino, 'user.k', Buffer.from('v'), { mode: 'either' });
    const before = await m.stat('d/a');
    const again = await m.remount();
    again.provider.counts();
    expect(await again.stat('d/a')).toEqual(before);
    expect(Buffer.from(again.fs.getxattr(ino, 'user.k') ?? []).toString()).toBe('v');
    expect(again.provider.counts()).toEqual({});
  });
});
