import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { lifeOf } from '../../src/base/processes.js';

const hasPython = spawnSync('python3', ['--version']).status === 0;

/** The first thread ends, another one goes on. So does a killed process, whose threads end one by one. */
const halfEnded = `
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(600,)).start()
print('begun', flush=True)
ctypes.CDLL(None).pthread_exit(None)
`;

describe.skipIf(process.platform !== 'linux' || !hasPython)('the life of a process (needs /proc and python3)', () => {
  it('that serves nobody any more is ending until its last thread has ended', async () => {
    const child = spawn('python3', ['-c', halfEnded], { stdio: ['ignore', 'pipe', 'inherit'] });
    const pid = child.pid as number;
    await once(child.stdout, 'data');
    await expect.poll(() => lifeOf(pid)).toBe('ending');
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(lifeOf(pid)).toBe('gone');
  });

  it('runs before that, also for another process', () => {
    expect([lifeOf(process.pid), lifeOf(1)]).toEqual(['runs', 'runs']);
  });
});
