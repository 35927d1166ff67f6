import { expect, it } from 'vitest';
import { mounted } from '../harness.js';

it('df counts our own uploads at once, and refreshes the quota when there was no space', async () => {
  const m = await mounted();
  const { free } = m.fs.statfs();
  await m.put('a', 'x'.repeat(1000));
  expect(free - m.fs.statfs().free).toBe(1000);
  await m.put('a', 'x'.repeat(400));
  expect(free - m.fs.statfs().free).toBe(400);
  m.provider.counts();
  m.provider.fail('upload', 'quota');
  await m.put('b', 'more').catch(() => undefined);
  expect(m.provider.counts()).toMatchObject({ account: 1 });
  expect(await m.fs.uploader.pending(m.fs.root)).toMatchObject([
    { code: 'ENOSPC', error: expect.stringMatching(/in the trash/) },
  ]);
});

it('df counts what was removed for ever at once, and asks anew for what went to a trash', async () => {
  const m = await mounted({ disposal: 'permanent' });
  const { free } = m.fs.statfs();
  await m.put('a', 'x'.repeat(1000));
  await m.rm('a');
  expect(m.fs.statfs().free).toBe(free);
  const other = await mounted();
  await other.put('a', 'x'.repeat(1000));
  await other.rm('a');
  other.provider.counts();
  other.clock.advance(10_001);
  other.fs.statfs();
  expect(other.provider.counts()).toMatchObject({ account: 1 });
});

it('df asks once in ten seconds while file after file goes to the trash', async () => {
  const m = await mounted();
  for (const name of ['a', 'b', 'c', 'd']) await m.put(name, 'x');
  m.provider.counts();
  for (const name of ['a', 'b', 'c', 'd']) {
    m.clock.advance(5001);
    await m.rm(name);
    m.fs.statfs();
  }
  expect(m.provider.counts()).toMatchObject({ account: 2 });
});

it('df counts what was stored while the quota was being asked for', async () => {
  const m = await mounted();
  const { free } = m.fs.statfs();
  m.clock.advance(60_001);
  const question = m.provider.gate('account', 'after');
  m.fs.statfs();
  await question.reached;
  await m.put('a', 'x'.repeat(1000));
  question.open();
  // The mount has its answer before this one comes.
  await m.provider.account();
  expect(free - m.fs.statfs().free).toBe(1000);
});

it('df asks no more often where the clock was set back', async () => {
  const m = await mounted();
  m.clock.set(-3_600_000);
  m.clock.advance(60_001);
  m.fs.statfs();
  await m.provider.account();
  m.provider.counts();
  for (let turn = 0; turn < 3; turn++) {
    m.fs.statfs();
    await m.provider.account();
  }
  expect(m.provider.counts()).toMatchObject({ account: 3 });
});
