// @module-tag long
/** The requests of the metadata store fail, stall and lie like all others. Nothing is lost or hangs, and in the end all changes show. */
import { expect } from 'vitest';
import type { FaultAction } from '../../../src/sandbox/faults.js';
import { describeEach, openWorld, protocols } from '../subjects.js';
import { cleanUpWorlds, joinWorld } from '../world.js';

/** A call that waits for the service is given up after a second or two. */
const carried = ['--metadata', 'account', '--dir-ttl', '1s', '--deadline', '2s'] as const;
const make = 'mkdir d; echo x > d/x; chmod 640 d/x; ln -s x d/l; mkfifo d/p; ln d/x d/second';
const look = `stat -c '%n %F %a %h' d/*; readlink d/l`;

const writing: Readonly<Record<string, FaultAction>> = {
  'an error': { kind: 'status', status: 500 },
  'an error after all': { kind: 'status', status: 500, performed: true },
  'a cut connection': { kind: 'reset', when: 'before' },
  'a lost answer': { kind: 'reset', when: 'after' },
  'a stall': { kind: 'stall', ms: 600_000 },
  'a page of HTML': { kind: 'html' },
  'an empty answer': { kind: 'empty' },
  'half an answer': { kind: 'broken-json' },
};
const reading: Readonly<Record<string, FaultAction>> = {
  'an error': { kind: 'status', status: 500 },
  'a cut connection': { kind: 'reset', when: 'middle', at: 20 },
  'a stall': { kind: 'stall', ms: 600_000 },
  'a short answer': { kind: 'truncate', at: 40 },
  'a short answer that says nothing of it': { kind: 'truncate', at: 40, silent: true },
  'a page of HTML': { kind: 'html' },
  'a flipped byte': { kind: 'corrupt', at: 60 },
};
/** Of content, on each service. */
const downloads = '^GET .*download';

describeEach(protocols, 'faults of the metadata: $provider', (subject, turns) => {
  cleanUpWorlds();

  turns.it(`what is written meets ${Object.keys(writing).join(', ')}`, async () => {
    const a = await openWorld(subject);
    const made = new Map<string, string>();
    for (const [name, action] of Object.entries(writing)) {
      await a.mount(...carried);
      await a.out(`mkdir '${name}'; cd '${name}'; ${make}`);
      made.set(name, await a.out(`cd '${name}'; ${look}`));
      const rule = a.sandbox.faults.add({ action });
      // It succeeds: what it promises is on this machine's disk.
      await a.out(`python3 -c "import os; os.fsync(os.open('${name}/d', os.O_RDONLY))"`);
      expect(a.sandbox.faults.fired(rule), name).toBeGreaterThan(0);
      expect((await a.status()).metadata?.pending, name).toBeGreaterThan(0);
      a.sandbox.faults.clear();
      // What could not be written is written by the unmounting.
      await a.umount();
    }
    const b = await joinWorld(a);
    await b.mount(...carried);
    for (const [name, seen] of made) expect([name, await b.out(`cd '${name}'; ${look}`)]).toEqual([name, seen]);
  });

  turns.it(`what is read meets ${Object.keys(reading).join(', ')}`, async () => {
    const a = await openWorld(subject);
    await a.mount(...carried);
    await a.out(make);
    const made = await a.out(look);
    await a.umount();
    for (const [name, action] of Object.entries(reading)) {
      // It logs in before anything fails.
      const b = await joinWorld(a);
      const rule = a.sandbox.faults.add({ route: downloads, action, times: 2 });
      await b.mount(...carried);
      // Without metadata rather than not at all.
      expect([name, await b.out('ls -d d; ls d/x')]).toEqual([name, 'd\nd/x']);
      expect(a.sandbox.faults.fired(rule), name).toBeGreaterThan(0);
      a.sandbox.faults.clear();
      await b.until(`[ "$(${look} 2> /dev/null)" = "${made}" ]`);
      await b.umount();
    }
  });
});
