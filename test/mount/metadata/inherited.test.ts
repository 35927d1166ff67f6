/** Programs see the same groups and times as on a local disk. */
import { expect } from 'vitest';
import { describeEach, openWorld, subjects, traits } from '../subjects.js';
import { cleanUpWorlds } from '../world.js';

describeEach(subjects, 'on $provider over the $binding binding', (subject, { it }) => {
  cleanUpWorlds();

  it('set-group-ID is inherited, consecutive writes differ in their times, and a rename moves the ctime', async () => {
    const world = await openWorld(subject);
    await world.sandbox.store.putFile('/d/old', 'x');
    await world.mount();
    expect(
      await world.out(
        'chgrp 1234 d; chmod 2775 d; mkdir d/sub; echo x > d/file; mkdir d/sub/deep; stat -c "%n %a %g" d/sub d/sub/deep; stat -c "%n %g" d/file',
      ),
    ).toBe('d/sub 2755 1234\nd/sub/deep 2755 1234\nd/file 1234');
    // Over libfuse the kernel shows for a second what it knew.
    const times = await world.out(`exec python3 -c "
import os
fd = os.open('d/file', os.O_WRONLY)
seen = []
for i in range(200):
    os.write(fd, b'x'); seen.append(os.fstat(fd).st_mtime_ns)
print(len(set(seen)), seen == sorted(seen))
"`);
    if (subject.binding !== 'native') expect(times).toBe('200 True');
    const changes = await world.out(`exec python3 -c "
import os
fd = os.open('d/file', os.O_RDWR); d = os.open('d', os.O_RDONLY)
files, directories = [], []
for i in range(100):
    os.fchmod(fd, 0o600 + i % 2); files.append(os.fstat(fd).st_ctime_ns)
    open(f'd/new{i % 2}', 'w').close() if i % 4 < 2 else os.unlink(f'd/new{i % 2}'); directories.append(os.fstat(d).st_mtime_ns)
print(*[(len(set(seen)), seen == sorted(seen)) for seen in (files, directories)])
"`);
    if (subject.binding !== 'native') expect(changes).toBe('(100, True) (100, True)');
    if (traits[subject.provider].movesFolders)
      expect(
        await world.out(
          'before=$(stat -c %z d/old); mv d/old d/new; [ "$before" != "$(stat -c %z d/new)" ] && echo moved',
        ),
      ).toBe('moved');
  });
});
