/** A program with open files of the mount starts another program, or becomes one: execve(2) closes the files. */
import { expect } from 'vitest';
import { describeEach, openWorld, type Subject, subjects } from '../subjects.js';
import { cleanUpWorlds } from '../world.js';

/** `close_fds=False`: the kernel closes the descriptor, while it holds locks of the process, and not Python before that. */
const written = `import os, subprocess, sys
f = os.open('f', os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC)
os.write(f, b'x' * 5000)
`;

describeEach(subjects, 'execve(2) with a changed file of $provider ($binding) open', (subject, turns) => {
  cleanUpWorlds();

  turns.it('closes it, and the mount answers', async () => {
    const world = await openWorld(subject);
    await world.mount();
    const child = `${written}subprocess.run(['true'], close_fds=False, check=True); os.write(f, b'y'); os.close(f)`;
    expect(await world.out(`python3 -c "${child}"; stat -c %s f`)).toBe('5001');
    expect(await world.out(`python3 -c "${written}os.execvp('stat', ['stat', '-c', '%s', 'f'])"`)).toBe('5001');
  });

  const hearsNoInterrupt = ({ binding }: Subject): boolean => binding === 'native';
  turns.unless(hearsNoInterrupt, 'no interrupt comes through libfuse 2')(
    'ends when the process is killed, however long the upload takes',
    async () => {
      const world = await openWorld(subject);
      await world.mount();
      await world.out('ls');
      const rule = world.sandbox.faults.add({ route: '^(POST|PUT) ', action: { kind: 'stall', ms: 600_000 } });
      const started = world.start(`exec python3 -c "${written}print(flush=True); os.execvp('true', ['true'])"`);
      await started.first;
      await expect.poll(() => world.sandbox.faults.fired(rule)).toBeGreaterThan(0);
      started.child.kill('SIGKILL');
      expect((await started.ended).code).not.toBe(0);
      expect(await world.out('stat -c %s f')).toBe('5000');
      world.sandbox.faults.clear();
      await world.untilWaiting(0, 0);
    },
  );
});
