import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { UploadCheckpoint } from '../../../src/providers/provider.js';
import { TestClock } from '../../support/test-clock.js';
import { failed, json } from '../mini-server.js';
import { md5, miniAccount, source } from './mini-account.js';

const small = Buffer.from('four thousand bytes, nearly'.repeat(150));
const large = Buffer.from(Array.from({ length: 1_000_000 }, (_, i) => (i ^ (i >> 9)) & 0xff));
const inChunks = { simpleUploadLimit: 500_000, chunkBytes: 100_000 };
/** The checkpoint as a journal gives it back. */
const journaled = (checkpoint: UploadCheckpoint): UploadCheckpoint =>
  JSON.parse(JSON.stringify(checkpoint)) as UploadCheckpoint;
const target = { parentId: 'root', name: 'a.bin' };

describe('upload in one request', () => {
  test.each([0, 1, 4096, 400_000])('of %i bytes', async (size) => {
    const account = await miniAccount();
    const data = large.subarray(0, size);
    const file = await account.provider.upload(target, source(data));
    expect(file).toMatchObject({ name: 'a.bin', size, md5: md5(data) });
    expect(account.file('a.bin')?.data.equals(data)).toBe(true);
    expect(account.server.lines()).toEqual(['POST /up/v1_2/files']);
    expect(account.server.seen[0]?.headers['content-length']).toBe(String(size));
  });

  test('of a new version is one PUT to the upload host', async () => {
    const account = await miniAccount();
    const replaces = account.add('a.bin', Buffer.from('old'));
    const file = await account.provider.upload({ ...target, replaces }, source(small));
    expect(file).toMatchObject({ id: replaces.id, md5: md5(small) });
    expect(account.server.lines()).toEqual([`PUT /up/v1_2/files/${replaces.id}`]);
  });

  test('whose answer is lost is not stored twice', async () => {
    const account = await miniAccount();
    account.lose = (_request, index) => index === 0;
    const file = await account.provider.upload(target, source(small));
    expect(account.server.lines()).toEqual(['POST /up/v1_2/files', 'GET /v1_2/folder/root/files']);
    expect(account.files.map((f) => f.id)).toEqual([file.id]);
  });

  test('that failed before anything was stored is retried, and reads its content again', async () => {
    const account = await miniAccount();
    account.before = (_request, response, index) => index === 0 && failed(response, '500.0600');
    const content = source(small);
    await account.provider.upload(target, content);
    expect(content.reads).toBe(2);
    expect(account.server.lines().filter((line) => line.startsWith('POST'))).toHaveLength(2);
  });

  test('over a file of the same name but other content is the error exists, also after a lost answer', async () => {
    const account = await miniAccount();
    account.add('a.bin', Buffer.from('somebody else'));
    await expect(account.provider.upload(target, source(small))).rejects.toMatchObject({ code: 'exists' });
    account.lose = (request) => request.method === 'POST' && account.server.seen.length < 3;
    await expect(account.provider.upload(target, source(small))).rejects.toMatchObject({ code: 'exists' });
    expect(account.files).toHaveLength(1);
  });

  test('that the server stored damaged is the error integrity, and leaves the name free', async () => {
    const account = await miniAccount();
    account.lose = (request) => {
      const stored = account.file('a.bin');
      if (request.method === 'POST' && stored !== undefined) stored.data = Buffer.from('damaged');
      return false;
    };
    account.before = (request, response) => {
      if (request.method !== 'POST') return false;
      account.add('a.bin', Buffer.from('damaged'));
      const stored = account.file('a.bin');
      json(response, { id: stored?.id, name: 'a.bin', size: small.length, md5: 'f'.repeat(32) });
      return true;
    };
    await expect(account.provider.upload(target, source(small))).rejects.toMatchObject({ code: 'integrity' });
    expect(account.files).toHaveLength(0);
  });

  test.each([['a new file'], ['a new version']])('that is damaged on its way is sent again: %s', async (what) => {
    const account = await miniAccount();
    const replaces = what === 'a new version' ? account.add('a.bin', Buffer.from('old')) : undefined;
    let damaged = 0;
    account.before = (request) => {
      if (request.body.length > 0 && damaged++ === 0) request.body[0] = 255 - (request.body[0] ?? 0);
      return false;
    };
    const file = await account.provider.upload({ ...target, ...(replaces && { replaces }) }, source(small));
    expect(damaged).toBe(2);
    expect(file.md5).toBe(md5(small));
    expect(account.files.map(({ data }) => md5(data))).toEqual([md5(small)]);
  });

  test('in chunks on which the server fails takes one deadline, not several', async () => {
    const clock = new TestClock();
    const account = await miniAccount({ ...inChunks, clock });
    account.before = (request, response) =>
      request.method === 'POST' && /upload\/\w+$/.test(request.path) && failed(response, '500.0600');
    const begun = clock.monotonic();
    const upload = account.provider.upload(target, source(large)).then(
      () => null,
      (error: unknown) => error,
    );
    let isOver = false;
    void upload.then(() => {
      isOver = true;
    });
    // Time passes only while the client pauses between two attempts.
    for (; !isOver; await setImmediate()) if (clock.sleepers > 0) clock.advance(100);
    expect(await upload).toMatchObject({ code: 'server' });
    // Ten seconds are the deadline. The last pause may begin shortly before it.
    expect(clock.monotonic() - begun).toBeLessThan(15_000);
  });

  test('of an answer without md5 the size counts; after a wrong first answer the file is looked up', async () => {
    const account = await miniAccount();
    account.before = (request, response) => {
      if (request.method !== 'POST') return false;
      const name = request.query.get('fileName') ?? '';
      const added = account.add(name, request.body);
      json(
        response,
        name === 'null'
          ? { id: added.id, name, size: request.body.length, md5: null }
          : { id: added.id, name, size: 0 },
      );
      return true;
    };
    await account.provider.upload({ parentId: 'root', name: 'null' }, source(small));
    expect(account.server.seen).toHaveLength(1);
    await account.provider.upload({ parentId: 'root', name: 'late' }, source(small));
    expect(account.server.lines().at(-1)).toMatch(/^GET .*\/files\/f\d+$/);
  });

  test('after a crash finds what an earlier try stored', async () => {
    const account = await miniAccount();
    const checkpoints: UploadCheckpoint[] = [];
    await account.provider.upload(target, source(small), {
      onCheckpoint: (checkpoint) => void checkpoints.push(checkpoint),
    });
    const resume = JSON.parse(JSON.stringify(checkpoints.at(-1))) as UploadCheckpoint;
    const file = await account.provider.upload(target, source(small), { resume });
    expect(account.files.map((f) => f.id)).toEqual([file.id]);
  });

  test('of unreadable content is an error and leaves no file', async () => {
    const account = await miniAccount();
    const broken = {
      ...source(large),
      async *read() {
        yield large.subarray(0, 10);
        throw new Error('EIO');
      },
    };
    await expect(account.provider.upload(target, broken)).rejects.toMatchObject({ code: 'integrity' });
    expect(account.files).toHaveLength(0);
  });
});

describe('upload in chunks', () => {
  test('sends several at once, in any order, and verifies the file', async () => {
    const account = await miniAccount(inChunks);
    const progress: number[] = [];
    const file = await account.provider.upload(target, source(large), {
      onProgress: (sent) => void progress.push(sent),
    });
    expect(file).toMatchObject({ name: 'a.bin', size: large.length, md5: md5(large) });
    expect(account.provider.metrics().byRoute).toEqual({
      'POST /upload': 1,
      'POST /upload/{id}': 10,
      'GET /files/{id}': 1,
      'PUT /files/{id}': 1,
    });
    expect(progress.at(-1)).toBe(large.length);
    expect([...progress].sort((a, b) => a - b)).toEqual(progress);
  });

  test('a server that wants chunks in order is remembered', async () => {
    const account = await miniAccount(inChunks);
    account.inOrder = true;
    await account.provider.upload(target, source(large));
    expect(account.file('a.bin')?.data.equals(large)).toBe(true);
    const before = account.server.seen.length;
    await account.provider.upload({ parentId: 'root', name: 'b.bin' }, source(large));
    expect(account.server.seen.length - before).toBe(13);
  });

  test('survives lost answers of start and chunks', async () => {
    const account = await miniAccount(inChunks);
    let lost = 0;
    account.lose = (request) => request.method === 'POST' && lost++ % 4 === 1;
    const file = await account.provider.upload(target, source(large));
    expect(file.md5).toBe(md5(large));
    expect(account.files.filter((f) => f.status === 'normal')).toHaveLength(1);
  });

  test('an unanswered start that is not listed but holds its name is left behind', async () => {
    const account = await miniAccount(inChunks);
    account.lose = (_request, index) => index === 0;
    const file = await account.provider.upload(target, source(large));
    expect(file).toMatchObject({ name: 'a.bin', md5: md5(large) });
    expect(account.files.map((f) => f.status)).toEqual(['incomplete', 'normal']);
  });

  test('resumes from what the server has', async () => {
    const account = await miniAccount(inChunks);
    const cancel = new AbortController();
    let last: UploadCheckpoint = {};
    const first = account.provider.upload(target, source(large), {
      signal: cancel.signal,
      onProgress: (sent) => void (sent >= 400_000 && cancel.abort()),
      onCheckpoint: (checkpoint) => {
        last = journaled(checkpoint);
      },
    });
    await expect(first).rejects.toMatchObject({ code: 'aborted' });
    const content = source(large);
    const file = await account.provider.upload(target, content, { resume: last });
    expect(file.md5).toBe(md5(large));
    expect(content.reads).toBeLessThanOrEqual(6);
    expect(account.files).toHaveLength(1);
  });

  test('an upload that the server has forgotten begins anew', async () => {
    const account = await miniAccount(inChunks);
    const resume = {
      v: 1,
      kind: 'chunked',
      size: large.length,
      md5: md5(large),
      parentId: 'root',
      uploadName: 'a.bin',
      phase: 'sending',
      uploadId: 'gone',
      stored: [],
    };
    await expect(account.provider.upload(target, source(large), { resume })).resolves.toMatchObject({
      md5: md5(large),
    });
  });

  test('a server with a lower limit for single requests gets chunks', async () => {
    const account = await miniAccount({ chunkBytes: 100_000 });
    account.before = (request, response) =>
      request.path.endsWith('/files') && request.method === 'POST' && failed(response, '403.0206');
    await expect(account.provider.upload(target, source(large))).resolves.toMatchObject({ md5: md5(large) });
  });
});

test('a large upload that is cancelled while it starts leaves nothing after it is discarded', async () => {
  const account = await miniAccount(inChunks);
  const cancelled = new AbortController();
  account.before = (_request, _response, index) => {
    if (index === 0) cancelled.abort();
    return false;
  };
  let last: UploadCheckpoint | undefined;
  const uploading = account.provider.upload(target, source(large), {
    signal: cancelled.signal,
    onCheckpoint: (checkpoint) => {
      last = journaled(checkpoint);
    },
  });
  await expect(uploading).rejects.toMatchObject({ code: 'aborted' });
  expect(account.files).toMatchObject([{ status: 'incomplete' }]);
  if (last !== undefined) await account.provider.discardUpload?.(last);
  expect(account.files).toEqual([]);
});

describe('a large new version', () => {
  test('takes the place of the old one, which goes to the trash', async () => {
    const account = await miniAccount(inChunks);
    const replaces = account.add('a.bin', Buffer.from('old'));
    const file = await account.provider.upload({ ...target, replaces }, source(large));
    expect(file).toMatchObject({ name: 'a.bin', md5: md5(large) });
    expect(account.files.map((f) => f.status)).toEqual(['trashed', 'normal']);
  });

  test('takes the place of the old one, which is deleted for ever', async () => {
    const account = await miniAccount({ ...inChunks, disposal: 'permanent' });
    const replaces = account.add('a.bin', Buffer.from('old'));
    await account.provider.upload({ ...target, replaces }, source(large));
    expect(account.files).toHaveLength(1);
  });

  test('gives the old one its name back if it cannot take the name', async () => {
    const account = await miniAccount(inChunks);
    const replaces = account.add('a.bin', Buffer.from('old'));
    account.before = (request, response) =>
      request.method === 'PUT' &&
      request.form.get('name') === 'a.bin' &&
      !request.path.includes(replaces.id) &&
      failed(response, '403.0302');
    await expect(account.provider.upload({ ...target, replaces }, source(large))).rejects.toMatchObject({
      code: 'permission',
    });
    expect(account.file('a.bin')?.data.toString()).toBe('old');
  });

  test('interrupted at any request, ends after a resume with one file and the new content', async () => {
    const whole = await miniAccount(inChunks);
    const old = whole.add('a.bin', Buffer.from('old'));
    await whole.provider.upload({ ...target, replaces: old }, source(large));
    for (let cut = 0; cut < whole.server.seen.length; cut++) {
      const account = await miniAccount(inChunks);
      const replaces = account.add('a.bin', Buffer.from('old'));
      const crash = new AbortController();
      let last: UploadCheckpoint | undefined;
      // The request is performed, but the program crashes before the answer.
      account.lose = (_request, index) => {
        if (index === cut) crash.abort();
        return index === cut;
      };
      await account.provider
        .upload({ ...target, replaces }, source(large), {
          signal: crash.signal,
          onCheckpoint: (checkpoint) => {
            if (!crash.signal.aborted) last = journaled(checkpoint);
          },
        })
        .catch(() => {});
      account.lose = () => false;
      const file = await account.provider.upload({ ...target, replaces }, source(large), { resume: last });
      expect(file, `cut at ${cut}`).toMatchObject({ name: 'a.bin', md5: md5(large) });
      const normal = account.files.filter((f) => f.status === 'normal');
      expect(
        normal.map((f) => f.name),
        `cut at ${cut}`,
      ).toEqual(['a.bin']);
    }
  });

  test('cancelled at any request and discarded, leaves one file of that name and nothing else', async () => {
    const whole = await miniAccount(inChunks);
    const old = whole.add('a.bin', Buffer.from('old'));
    await whole.provider.upload({ ...target, replaces: old }, source(large));
    for (let cut = 0; cut < whole.server.seen.length; cut++) {
      const account = await miniAccount(inChunks);
      const replaces = account.add('a.bin', Buffer.from('old'));
      const cancelled = new AbortController();
      let last: UploadCheckpoint | undefined;
      // The request is performed, but nobody waits for the answer any more.
      account.lose = (_request, index) => {
        if (index === cut) cancelled.abort();
        return index === cut;
      };
      await account.provider
        .upload({ ...target, replaces }, source(large), {
          signal: cancelled.signal,
          onCheckpoint: (checkpoint) => {
            last = journaled(checkpoint);
          },
        })
        .catch(() => {});
      if (last !== undefined) await account.provider.discardUpload?.(last);
      const normal = account.files.filter((f) => f.status === 'normal');
      expect(
        normal.map((f) => f.name),
        `cancelled at ${cut}`,
      ).toEqual(['a.bin']);
    }
  });
});
