/** 4shared may tell the md5 of a file only after its upload. This machine recognises its own content all the same. */
import { expect, it } from 'vitest';
import { openWorld } from '../subjects.js';
import { cleanUpWorlds } from '../world.js';

cleanUpWorlds();

for (const md5 of ['after-upload', 'never'])
  it(`each mount writes the same file of metadata where the service tells an md5 ${md5}`, async () => {
    const a = await openWorld({ provider: '4shared', binding: 'kernel' }, { readings: { md5 } });
    const names: string[][] = [];
    for (const mode of [600, 640, 604]) {
      await a.mount();
      await a.out(`echo x > f${mode}; chmod ${mode} f*`);
      await a.umount();
      const { store } = a.sandbox;
      names.push(store.tree().flatMap(({ path }) => (path.startsWith('/.syncmount/') ? [path] : [])));
    }
    expect(names).toEqual([[expect.any(String)], names[0], names[0]]);
  });
