import { describe, expect, it } from 'vitest';
import { type AnySandboxOptions, providerNames } from '../../../src/sandbox/index.js';
import { cleanUpWorlds, createServiceWorld, createWorld } from '../world.js';

describe.each(providerNames)('%s', (provider) => {
  cleanUpWorlds();

  it('takes a tree with ordinary tools, and gives it back after a remount with an empty cache', async () => {
    const world = await createServiceWorld({ provider } as AnySandboxOptions);
    await world.out(`
      mkdir -p "$TOP/source/deep/er"; cp -r ${process.cwd()}/src/tree ${process.cwd()}/src/cache "$TOP/source/deep/er/"
      : > "$TOP/source/empty"; head -c 3000000 /dev/urandom > "$TOP/source/three megabytes.bin"; echo ü > "$TOP/source/ünïcode"`);
    await world.mount();
    await world.out('cp -r "$TOP/source" . && diff -r "$TOP/source" source');
    await world.out(
      'echo more >> source/ünïcode; echo more >> "$TOP/source/ünïcode"; mv source/empty source/renamed; mv "$TOP/source/empty" "$TOP/source/renamed"',
    );
    await world.out('mv source/deep elsewhere && mkdir source/deep && mv elsewhere/er source/deep/ && rmdir elsewhere');
    const inodes = await world.out('diff -r "$TOP/source" source; find . -printf "%i %p\\n" | sort | md5sum');
    await world.umount();
    await world.clearCache();
    await world.mount();
    expect(await world.out('diff -r "$TOP/source" source; find . -printf "%i %p\\n" | sort | md5sum')).toBe(inodes);
    const sums = await world.out('cd "$TOP" && find source -type f -exec md5sum {} +');
    const here = new Map(sums.split('\n').map((line) => [`/${line.slice(34)}`, line.slice(0, 32)]));
    expect([...world.storedMd5s()].sort()).toEqual([...here].sort());
    await world.out('rm -r source/deep && [ ! -e source/deep ]');
    await world.umount();
    expect([...world.storedMd5s().keys()].sort()).toEqual([
      '/source/renamed',
      '/source/three megabytes.bin',
      '/source/ünïcode',
    ]);
  });

  it('shows what another client changes', async () => {
    const world = await createServiceWorld({ provider } as AnySandboxOptions);
    await world.sandbox.store.putFile('/there/first.txt', 'first');
    await world.mount('--dir-ttl', '1s');
    expect(await world.out('cat there/first.txt')).toBe('first');
    await world.sandbox.store.putFile('/there/second.txt', 'second');
    world.sandbox.store.remove('/there/first.txt');
    await world.until('[ -e there/second.txt ] && [ ! -e there/first.txt ]');
    expect(await world.out('ls there; cat there/second.txt')).toBe('second.txt\nsecond');
  });

  it('refuses a login with wrong credentials in one line', async () => {
    const world = await createServiceWorld({ provider } as AnySandboxOptions, true);
    const wrong = Object.fromEntries(
      Object.entries(world.sandbox.credentials).map(([key, value]) => [key, `${value}x`]),
    );
    const { code, stderr } = await world.login('work', wrong);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^syncmount: [^\n]*refuses these credentials[^\n]*\n$/)]);
  });
});

describe('5sync on a plan of 60 requests an hour', () => {
  cleanUpWorlds();

  it('mounts an account of 2,000 files, lists it all and reads ten small files', async () => {
    const world = await createServiceWorld({ provider: '5sync', plan: 'starter' } as AnySandboxOptions, true);
    await world.sandbox.store.populate({ folders: 40, filesEach: 50, size: 100 });
    expect((await world.login()).code).toBe(0);
    const requests = await world.requestsOf(async () => {
      await world.mount();
      expect(await world.out('find . -type f | wc -l')).toBe('2000');
      expect(await world.out('for f in $(find . -type f | sort | head -10); do cat "$f"; done | wc -c')).toBe('1000');
    });
    expect(requests.filter(({ status }) => status >= 400)).toEqual([]);
    expect(world.sandbox.log.entries().length).toBeLessThanOrEqual(60);
    expect((await world.status()).rateLimit).toMatchObject({ limit: 60 });
  });
});

describe('a request limit that is used up', () => {
  cleanUpWorlds();

  it.each([
    ['5sync', { provider: '5sync', requestsPerHour: 8 } as AnySandboxOptions],
    ['4shared', { provider: '4shared', rateLimit: { requests: 8, seconds: 86_400 } } as AnySandboxOptions],
  ])('is EBUSY at once on %s, one line in the log, and no further request', async (_, options) => {
    const world = await createServiceWorld(options, true);
    // Older than a moment ago: what is read within a second of its change is not kept where no checksum tells.
    const modified = Date.now() - 60_000;
    for (let n = 0; n < 20; n++) await world.sandbox.store.putFile(`/f${n}`, `${n}`, { modified });
    expect((await world.login()).code).toBe(0);
    await world.mount('--deadline', '20s');
    await world.out('cat f0 > "$TOP/f0"');
    await world.sh('for n in $(seq 1 19); do cat f$n; done');
    const sent = await world.requestsOf(async () => {
      const { code, stderr } = await world.sh('cat f19; cp "$TOP/f0" g');
      expect([code, stderr.match(/busy/gi)?.length]).toEqual([1, 2]);
      expect(await world.out('cat f0; ls | wc -l')).toBe('021');
    });
    expect(sent).toEqual([]);
    const refused = world.sandbox.log.entries().filter(({ status }) => status === 429);
    expect(refused.length).toBeLessThanOrEqual(1);
    const { rateLimit, pending, failed } = await world.status();
    expect(rateLimit).toMatchObject({ remaining: 0 });
    expect(rateLimit?.resetAt).toBeGreaterThan(Date.now() + 60_000);
    // It waits for the next window.
    expect([...pending, ...failed]).toMatchObject([{ path: '/g', code: 'EBUSY' }]);
    expect((await world.log()).match(/"msg":"the request limit of the account is used up until/g)).toHaveLength(1);
  });
});

describe('4shared', () => {
  cleanUpWorlds();
  it('works under the alternative reading of every point that its documents leave open, through the mount', async () => {
    const world = await createWorld({
      readings: {
        childrenShape: 'array',
        rangeAnswer: '200',
        validator: 'none',
        downloadRedirect: true,
        moveKeepsId: false,
        renameChangesModified: true,
        counts: 'zero',
        md5: 'after-upload',
      },
    });
    await world.mount();
    await world.out(
      'mkdir a b; echo one > a/x; mv a/x b/y; mv b c; echo two >> c/y; cat c/y; echo three > c/z; mv c/z c/y; cat c/y',
    );
    await world.umount();
    expect(`${await world.sandbox.store.readFile('/c/y')}`).toBe('three\n');
    expect([...world.sandbox.store.md5s().keys()]).toEqual(['/c/y']);
  });
});
