import { describe, expect, test } from 'vitest';
import type { RemoteFile } from '../../src/providers/provider.js';
import { type AcronisServer, acronisSetup } from './acronis-setup.js';
import { collect, existing, existingFolder, md5, noise, source, treeOf } from './bench.js';
import { describeProviderContract, useRooms } from './provider-contract.js';

describeProviderContract('Acronis', acronisSetup());

describe('Acronis alone', () => {
  const rooms = useRooms(acronisSetup());

  test('a file is copied to another folder, also under another name; not within its folder', async () => {
    const room = rooms();
    const file = await existing(room, 'thing', 'content');
    const target = await existingFolder(room, 'target');
    for (const name of ['other', 'thing']) {
      const copy = await room.provider.copy(file, { parentId: target.id, name });
      expect(copy).toMatchObject({ kind: 'file', parentId: target.id, name, size: file.size, md5: file.md5 });
    }
    const beside = room.provider.copy(file, { parentId: room.folder.id, name: 'beside' });
    await expect(beside).rejects.toMatchObject({ code: 'unsupported' });
    const sum = md5(Buffer.from('content'));
    expect(treeOf(room)).toEqual({ target: 'folder', 'target/other': sum, 'target/thing': sum, thing: sum });
  });

  test('a token that expires in the middle of a large upload is renewed, and the file is stored', async () => {
    const room = rooms();
    const { sandbox } = room.server as AcronisServer;
    const content = noise(20_000_000, 41);
    room.server.fault('upload', { kind: 'reset', when: 'middle', at: 9_000_000 }, { times: 1 });
    const whole = source(content);
    let hasExpired = false;
    const stored = await room.provider.upload(
      { parentId: room.folder.id, name: 'big' },
      {
        ...whole,
        async *read(offset, length) {
          let given = 0;
          for await (const piece of whole.read(offset, length)) {
            given += piece.length;
            if (!hasExpired && given > 4_000_000) {
              hasExpired = true;
              sandbox.tokens.expire();
            }
            yield piece;
          }
        },
      },
    );
    expect(stored).toMatchObject({ size: content.length, md5: md5(content) });
    expect(treeOf(room)).toEqual({ big: md5(content) });
    expect(hasExpired).toBe(true);
    expect(room.server.requests('token').length).toBeGreaterThan(0);
  });

  test('a token that expires in the middle of a large read is renewed, and the read goes on', async () => {
    const room = rooms();
    const { sandbox } = room.server as AcronisServer;
    const content = noise(20_000_000, 42);
    const file = await existing(room, 'big', content);
    room.server.fault('download', { kind: 'reset', when: 'middle', at: 9_000_000 }, { times: 1 });
    const { body } = await room.provider.read(file, { offset: 0, length: content.length });
    sandbox.tokens.expire();
    expect((await collect(body)).equals(content)).toBe(true);
    expect(room.server.requests('token')).toHaveLength(1);
    expect(room.server.requests('download').map(({ status }) => status)).toContain(401);
  });

  test('a file that another client made since the folder was listed gets no revision of ours', async () => {
    const room = rooms();
    await room.provider.list(room.folder);
    await room.store.putFile(`${room.path}/name`, 'of the other');
    room.server.clock.jump(11_000);
    const upload = room.provider.upload({ parentId: room.folder.id, name: 'name' }, source(Buffer.from('ours')));
    await expect(upload).rejects.toMatchObject({ code: 'exists' });
    expect(treeOf(room)).toEqual({ name: md5(Buffer.from('of the other')) });
  });

  test('of several files of one name none is replaced in the place of another', async () => {
    const room = rooms();
    for (const content of ['one', 'two']) await room.store.putFileIn(room.folder.id, 'name', content, true);
    const files = (await room.provider.list(room.folder)) as RemoteFile[];
    expect(files).toHaveLength(2);
    for (const replaces of files) {
      const upload = room.provider.upload(
        { parentId: room.folder.id, name: 'name', replaces },
        source(Buffer.from('x')),
      );
      await expect(upload).rejects.toMatchObject({ code: 'exists' });
    }
    expect(await room.provider.list(room.folder)).toEqual(files);
  });
});
