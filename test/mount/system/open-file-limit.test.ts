import { resolve } from 'node:path';
import { expect } from 'vitest';
import { describeEach, openWorld, protocols } from '../subjects.js';
import { cleanUpWorlds } from '../world.js';

const program = resolve('bin/syncmount.js');

/** One program opens what it can of 400 files, writes to all of them, and closes them; says how often which error came. */
const openMany = `import os, errno, collections
said = collections.Counter(); files = []
for i in range(400):
    try: files.append(os.open(f'f{i}', os.O_CREAT | os.O_RDWR))
    except OSError as e: said['open ' + errno.errorcode[e.errno]] += 1
for i, fd in enumerate(files):
    try: os.write(fd, b'%d' % i)
    except OSError as e: said['write ' + errno.errorcode[e.errno]] += 1
for fd in files:
    try: os.close(fd)
    except OSError as e: said['close ' + errno.errorcode[e.errno]] += 1
print(len(files), *said)`;

describeEach(protocols, 'a mount at $provider that may have few files open', (subject, { it }) => {
  cleanUpWorlds();

  for (const [title, flags] of [
    ['stored at close', ''],
    ['stored later', '--write-back'],
  ]) {
    it(`${title}: refuses what it could not store, and stores all else`, async () => {
      const world = await openWorld(subject);
      await world.shell(`ulimit -n 300; exec "${process.execPath}" "${program}" mount work: "${world.mnt}" ${flags}`);
      const [opened, ...said] = (await world.out(`python3 -c "${openMany}"`)).split(' ');
      expect(said.join(' ')).toBe('open ENFILE');
      expect(Number(opened)).toBeGreaterThan(100);
      // What that program has closed is free for the next one.
      await world.out('echo later > later');
      await world.umount();
      await world.mount();
      expect(await world.out('ls | wc -l; cat f99 later')).toBe(`${Number(opened) + 1}\n99later`);
    });
  }
});
