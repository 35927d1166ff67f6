import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.js';
import { deservesLine, FailureLog } from '../../../src/filesystem/core/failure-log.js';
import { FsError } from '../../../src/filesystem/core/fs-error.js';
import { ProviderError } from '../../../src/providers/errors.js';

const cause = new ProviderError('server', 'GET /x: the server answered 500');

describe('a failure is worth a line', () => {
  it.each([
    ['EIO', undefined, true],
    ['EIO', cause, true],
    ['ENETUNREACH', cause, true],
    ['EACCES', cause, true],
    ['ENOSPC', cause, true],
    ['ESTALE', cause, true],
    // Our own answers about names and handles, and a provider's about what is there.
    ['EACCES', undefined, false],
    ['EBADF', undefined, false],
    ['ENOENT', cause, false],
    ['EEXIST', cause, false],
    ['EINTR', cause, false],
  ] as const)('%s, caused by %o: %s', (code, why, isWorth) => {
    expect(deservesLine(new FsError(code, 'x', why === undefined ? {} : { cause: why }))).toBe(isWorth);
  });

  it('of a thousand folders that fail for one reason, fifty are named in a minute, and each once', () => {
    const lines: { data: object; line: string }[] = [];
    let now = Date.UTC(2026, 0, 1);
    const ignored = (): void => undefined;
    const log = {
      debug: ignored,
      info: ignored,
      error: ignored,
      warn: (data: object, line: string) => lines.push({ data, line }),
    };
    const upwards = function* (ino: number) {
      yield { ino, parent: 1, name: `d${ino}` };
      yield { ino: 1, parent: null, name: '' };
    };
    const isRoot = ({ ino }: { ino: number }): boolean => ino === 1;
    const core = { table: { upwards, isRoot }, files: {}, log, clock: { ...systemClock, now: () => now } };
    const failures = new FailureLog(core as unknown as ConstructorParameters<typeof FailureLog>[0]);
    const error = (): FsError => new FsError('EIO', cause.message, { cause });
    for (let ino = 2; ino < 1002; ino++) for (let tries = 0; tries < 2; tries++) failures.of('readdir', ino)(error());
    expect(lines).toHaveLength(50);
    expect(lines[0]?.line).toBe('readdir /d2: EIO, GET /x: the server answered 500');
    now += 60_000;
    failures.of('read', 5, 'file')(error());
    expect(lines.at(-1)).toMatchObject({ data: { path: '/d5/file', suppressed: 950 } });
  });
});
