import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { packageRoot } from '../../src/base/installation.js';
import { LazyThread } from '../../src/threads/lazy-thread.js';

it('starts, and starts again, after an upgrade has taken the file of its program away', async () => {
  const name = `test-worker-${process.pid}.cjs`;
  const file = join(packageRoot, 'dist', name);
  writeFileSync(
    file,
    `const { parentPort } = require('node:worker_threads');
     parentPort.on('message', (order) => (order === 'end' ? process.exit() : parentPort.postMessage(order + 1)));`,
  );
  let settle: (what: number | Error) => void = () => undefined;
  const thread = new LazyThread<number | 'end', number>(name, {
    reported: (report) => settle(report),
    ended: (why) => settle(why),
  });
  rmSync(file);
  const ask = (order: number | 'end'): Promise<number | Error> => {
    const answer = new Promise<number | Error>((resolve) => {
      settle = resolve;
    });
    thread.tell(order);
    return answer;
  };
  expect(await ask(1)).toBe(2);
  expect(await ask('end')).toBeInstanceOf(Error);
  expect(await ask(3)).toBe(4);
  await thread.close();
});
