/**
 * An account refuses the metadata, because its quota is used up or the login may only read. Programs notice nothing, nothing is lost
 * on this machine, people are told, and the metadata is stored as soon as the account accepts it.
 */
import { expect } from 'vitest';
import type { FaultRule } from '../../../src/sandbox/faults.js';
import { describeEach, openWorld, protocols, type Subject } from '../subjects.js';
import { cleanUpWorlds, joinWorld, type World } from '../world.js';

/** Not a byte more, or what a login without the right to write is told. */
const refusals: Readonly<Record<string, (world: World, subject: Subject) => () => void>> = {
  'whose quota is used up': ({ sandbox }) => {
    const { quotaBytes } = sandbox.settings;
    sandbox.settings.quotaBytes = 0;
    return () => {
      sandbox.settings.quotaBytes = quotaBytes;
    };
  },
  'that may only be read': ({ sandbox }) => {
    const rule: FaultRule = { action: { kind: 'status', status: 403 } };
    const ids = ['POST', 'PUT', 'DELETE'].map((method) => sandbox.faults.add({ ...rule, method }));
    return () => {
      for (const id of ids) sandbox.faults.clear(id);
    };
  },
};
const look = `stat -c '%n %F %a %Y' d d/* && readlink d/l`;

describeEach(protocols, 'metadata of an account on $provider', (subject, turns) => {
  cleanUpWorlds();

  for (const [kind, refuse] of Object.entries(refusals))
    turns.it(`${kind} stays on this machine until the account takes it`, async () => {
      const a = await openWorld(subject);
      await a.mount('--deadline', '3s');
      await a.out('mkdir d; echo x > d/x; echo y > d/y');
      await a.untilWaiting(0, 0);
      const grant = refuse(a, subject);
      await a.out('chmod 640 d/x; ln -s x d/l; touch -d 2001-02-03 d/y d');
      // What it promises is on this machine's disk.
      await a.out(`python3 -c "import os; os.fsync(os.open('d', os.O_RDONLY))"`);
      const made = await a.out(look);
      expect((await a.status()).metadata).toMatchObject({ pending: expect.any(Number), error: expect.any(String) });
      const told = await a.cli(['status', a.mnt]);
      expect(told.stdout).toMatch(/metadata.*not in the account/);
      const ended = await a.cli(['umount', a.mnt]);
      expect([ended.code, ended.stderr]).toEqual([
        3,
        expect.stringMatching(/the next mount has it: metadata of the account \(\d+ changes\)/),
      ]);
      await a.mount('--deadline', '3s');
      expect(await a.out(look)).toBe(made);
      grant();
      await a.out('chmod 600 d/y; chmod 644 d/y');
      await a.umount();
      const b = await joinWorld(a);
      await b.mount();
      expect(await b.out(look)).toBe(made);
    });
});
