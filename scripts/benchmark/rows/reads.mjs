// Reads of one large file: sequential, cached, random.
import { MIB, perGib, speed } from './measures.mjs';

export function readRows(sizes, { sh, dropCaches }) {
  return [
    {
      name: 'read-cold',
      title: `cold sequential read, ${sizes.large / MIB} MiB`,
      unit: 'MB/s',
      more: true,
      async measure(c) {
        await c.umount();
        await c.generate('/large.bin', sizes.large);
        c.forget();
        await c.mount();
        await dropCaches();
        const begin = await c.cpu();
        const read = await sh('cat "$MNT/large.bin" > /dev/null', c.mnt);
        c.readCpu = perGib(await c.cpu(), begin, sizes.large);
        return speed(read, sizes.large);
      },
    },
    {
      name: 'read-cpu',
      title: 'CPU of the mount for it',
      unit: 's a GiB',
      measure: async (c) => c.readCpu?.all ?? null,
    },
    {
      name: 'read-cpu-main',
      title: 'of it on the thread that answers everything else',
      unit: 's a GiB',
      measure: async (c) => (c.isOneLoop ? (c.readCpu?.main ?? null) : null),
    },
    {
      name: 'read-curl',
      title: 'the same file by eight curls, a range each',
      unit: 'MB/s',
      more: true,
      measure: async (c) => (c.curl === undefined ? null : speed(await c.curl(sizes.large, 8), sizes.large)),
    },
    {
      name: 'read-curl-16',
      title: 'the same by sixteen',
      unit: 'MB/s',
      more: true,
      measure: async (c) => (c.curl === undefined ? null : speed(await c.curl(sizes.large, 16), sizes.large)),
    },
    {
      name: 'read-bare',
      title: 'the same by a bare program that checks and keeps it, over sixteen connections',
      unit: 'MB/s',
      more: true,
      async measure(c) {
        if (c.bare === undefined) return null;
        c.bareRead = await c.bare.read(sizes.large);
        return speed(c.bareRead, sizes.large);
      },
    },
    {
      name: 'read-bare-cpu',
      title: 'CPU of the bare program for it',
      unit: 's a GiB',
      measure: async (c) => (c.bareRead === undefined ? null : (c.bareRead.cpu.all * 1024 * MIB) / sizes.large),
    },
    {
      name: 'read-page-cache',
      title: 'read again, from the page cache',
      unit: 'MB/s',
      more: true,
      measure: async (c) => speed(await sh('cat "$MNT/large.bin" > /dev/null', c.mnt), sizes.large),
    },
    {
      name: 'read-disk-cache',
      title: 'read again after a remount, from the disk cache',
      unit: 'MB/s',
      more: true,
      async measure(c) {
        await c.umount();
        await c.mount();
        await sh('ls "$MNT" > /dev/null', c.mnt);
        return speed(await sh('cat "$MNT/large.bin" > /dev/null', c.mnt), sizes.large);
      },
    },
    {
      name: 'read-again',
      title: 'once more, nothing in memory (as root: passthrough)',
      unit: 'MB/s',
      more: true,
      async measure(c) {
        let best = 0;
        // The better of two turns: a virtual disk reads newly written bytes more slowly the first time than later.
        for (let turn = 0; turn < 2; turn++) {
          await dropCaches();
          best = Math.max(best, speed(await sh('cat "$MNT/large.bin" > /dev/null', c.mnt), sizes.large));
        }
        return best;
      },
    },
    {
      name: 'stat-busy',
      title: 'stat of names while a file is read cold, 99 of 100 within',
      unit: 'ms',
      async measure(c) {
        await c.umount();
        c.forgetBlocks();
        await c.mount();
        await sh('find "$MNT/tree" > /dev/null', c.mnt);
        await dropCaches();
        const script = `cat "$MNT/large.bin" > /dev/null & python3 -c "
import os, random, sys, time
names = ['%s/tree/%s/%s' % (os.environ['MNT'], d, f) for d in sorted(os.listdir(os.environ['MNT'] + '/tree')) for f in sorted(os.listdir(os.environ['MNT'] + '/tree/' + d))]
random.seed(7); random.shuffle(names); took = []; late = []
if os.getuid() == 0: open('/proc/sys/vm/drop_caches', 'w').write('2')
while len(took) < 100 or (os.path.exists('/proc/' + sys.argv[1]) and len(took) < len(names)):
    begin = time.monotonic(); os.stat(names[len(took)]); end = time.monotonic(); took.append(end - begin)
    time.sleep(0.004); late.append(time.monotonic() - end - 0.004)
for each in (took, late): each.sort(); print(each[len(each) * 99 // 100] * 1000)" $!`;
        const [stat, wakeUp] = (await sh(script, c.mnt)).out.split('\n').map(Number);
        c.wakeUp = wakeUp;
        return stat;
      },
    },
    {
      name: 'wake-busy',
      title: 'a program that only sleeps is woken, meanwhile, 99 of 100 within',
      unit: 'ms',
      measure: async (c) => c.wakeUp ?? null,
    },
    {
      name: 'read-random',
      title: `${sizes.random} random 4 KiB reads, cold`,
      unit: 'ms each',
      async measure(c) {
        await c.umount();
        c.forgetBlocks();
        await c.mount();
        await dropCaches();
        await sh('ls "$MNT" > /dev/null', c.mnt);
        const script = `python3 -c "
import os, random
random.seed(7); fd = os.open(os.environ['MNT'] + '/large.bin', os.O_RDONLY)
for _ in range(${sizes.random}): os.pread(fd, 4096, random.randrange(${sizes.large / 4096}) * 4096)"`;
        return ((await sh(script, c.mnt)).seconds * 1000) / sizes.random;
      },
    },
    {
      name: 'read-random-bare',
      title: 'the same by a bare program, 64 KiB each',
      unit: 'ms each',
      async measure(c) {
        if (c.bare === undefined) return null;
        return ((await c.bare.random(sizes.large, sizes.random)).seconds * 1000) / sizes.random;
      },
    },
  ];
}
