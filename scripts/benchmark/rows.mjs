// What is measured: every row answers a number in `unit` for one contender. Rows build on each other and run in this order.
const MIB = 1024 * 1024;

/** The rows over `sizes`. Smaller is better unless `more`; a row that answers null has nothing to say of a contender. */
export function rowsOf(sizes, { sh, until }) {
  const dropCaches = () => sh('sync; echo 3 > /proc/sys/vm/drop_caches').catch(() => undefined);

  const rows = [
    {
      name: 'find-cold',
      title: `cold find, ${sizes.folders * sizes.filesEach} files in ${sizes.folders} folders`,
      unit: 's',
      async measure(c) {
        await c.populate('/tree', sizes.folders, sizes.filesEach, 10);
        await c.mount();
        return (await sh('find "$MNT/tree" | wc -l', c.mnt)).seconds;
      },
    },
    {
      name: 'find-remount',
      title: 'the same after a remount',
      unit: 's',
      async measure(c) {
        await c.umount();
        await c.mount();
        const begin = await c.cpu();
        const took = (await sh('find "$MNT/tree" | wc -l', c.mnt)).seconds;
        c.findCpu = spent(await c.cpu(), begin);
        return took;
      },
    },
    {
      name: 'find-remount-cpu',
      title: 'CPU of the mount for it',
      unit: 's',
      measure: async (c) => c.findCpu?.all ?? null,
    },
    {
      name: 'ls-warm',
      title: 'ls -lR of it, warm',
      unit: 's',
      async measure(c) {
        await sh('ls -lR "$MNT/tree" | wc -l', c.mnt);
        return (await sh('ls -lR "$MNT/tree" | wc -l', c.mnt)).seconds;
      },
    },
    {
      name: 'stat-missing',
      title: 'stat of distinct missing names, one caller',
      unit: '/s',
      more: true,
      measure: (c) => statMissing(c, 1),
    },
    {
      name: 'stat-missing-4',
      title: 'the same, four callers',
      unit: '/s',
      more: true,
      measure: (c) => statMissing(c, 4),
    },
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
        // The better of two: a virtual disk reads for the first time what was written to it more slowly than ever after.
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
random.seed(7); random.shuffle(names); took = []
if os.getuid() == 0: open('/proc/sys/vm/drop_caches', 'w').write('2')
while len(took) < 100 or (os.path.exists('/proc/' + sys.argv[1]) and len(took) < len(names)):
    begin = time.monotonic(); os.stat(names[len(took)]); took.append(time.monotonic() - begin); time.sleep(0.004)
took.sort(); print(took[len(took) * 99 // 100] * 1000)" $!`;
        return Number((await sh(script, c.mnt)).out);
      },
    },
    {
      name: 'read-head',
      title: `file(1) of a file of ${sizes.large / MIB} MiB (reads 14 MiB, at both ends): MB over the link`,
      unit: 'MB',
      async measure(c) {
        await c.umount();
        c.forgetBlocks();
        await c.mount();
        await dropCaches();
        const begin = await c.bytesSent();
        await sh('file "$MNT/large.bin"', c.mnt);
        const bytes = (await c.bytesSent()) - begin;
        return c.countsBytes ? bytes / 1e6 : null;
      },
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
      name: 'write-large',
      title: `${sizes.written / MIB} MiB written, until stored`,
      unit: 's',
      async measure(c) {
        await sh(`head -c ${sizes.written} /dev/urandom > "$TOP/written.bin"; mkdir -p "$MNT/w"`, c.mnt);
        const begin = await c.cpu();
        const took = await seconds(async () => {
          await sh('cp "$TOP/written.bin" "$MNT/w/large"; [ "$MNT" != "$TOP/disk" ] || sync "$MNT/w/large"', c.mnt);
          await until('the upload', c.isStored, 600_000);
        });
        c.writeCpu = perGib(await c.cpu(), begin, sizes.written);
        return took;
      },
    },
    {
      name: 'write-cpu',
      title: 'CPU of the mount for it',
      unit: 's a GiB',
      measure: async (c) => c.writeCpu?.all ?? null,
    },
    {
      name: 'write-cpu-main',
      title: 'of it on the thread that answers everything else',
      unit: 's a GiB',
      measure: async (c) => (c.isOneLoop ? (c.writeCpu?.main ?? null) : null),
    },
    {
      name: 'write-small',
      title: `${sizes.small} files of 4 KiB, until stored (--write-back)`,
      unit: 's',
      async measure(c) {
        await c.umount();
        await c.mount('--write-back');
        await sh(
          `mkdir "$TOP/small-${c.name}"; cd "$TOP/small-${c.name}"; for i in $(seq ${sizes.small}); do head -c 4096 /dev/urandom > $i; done; ls "$MNT/w" > /dev/null`,
          c.mnt,
        );
        const begin = await c.cpu();
        const took = await seconds(async () => {
          await sh(
            `cp -r "$TOP/small-${c.name}" "$MNT/w/small"; [ "$MNT" != "$TOP/disk" ] || sync "$MNT/w/small"/*`,
            c.mnt,
          );
          await until('the uploads', c.isStored, 600_000);
        });
        c.smallCpu = spent(await c.cpu(), begin);
        return took;
      },
    },
    {
      name: 'write-small-cpu',
      title: 'CPU of the mount for each',
      unit: 'ms',
      measure: async (c) => (c.smallCpu ? (c.smallCpu.all * 1000) / sizes.small : null),
    },
    {
      name: 'write-small-cpu-main',
      title: 'of it on the thread that answers everything else',
      unit: 'ms',
      measure: async (c) => (c.isOneLoop && c.smallCpu ? (c.smallCpu.main * 1000) / sizes.small : null),
    },
    {
      name: 'write-spool',
      title: `${sizes.written / MIB} MiB written and closed (--write-back), not waiting for the upload`,
      unit: 'MB/s',
      more: true,
      async measure(c) {
        const written = await sh('cp "$TOP/written.bin" "$MNT/w/spooled"; sync "$MNT/w/spooled"', c.mnt);
        await until('the upload', c.isStored, 600_000);
        return speed(written, sizes.written);
      },
    },
    {
      name: 'memory',
      title: 'memory of the mount at the end',
      unit: 'MiB',
      measure: async (c) => (await c.memory()) / MIB,
    },
  ];

  /** Asked by perl: Python takes twice as long for a name on the disk (5 µs), and that is not the mount's. */
  async function statMissing(c, callers) {
    const each = Math.floor(sizes.missing / callers);
    const script = `for n in $(seq ${callers}); do
      perl -e 'my ($mnt, $first, $count) = @ARGV; stat("$mnt/missing-$_") for $first .. $first + $count - 1' \
        "$MNT" $((n * 1000000 + RANDOM * 31)) ${each} &
    done; wait`;
    await sh('ls "$MNT" > /dev/null', c.mnt);
    return (each * callers) / (await sh(script, c.mnt)).seconds;
  }

  const spent = (now, begin) =>
    now === null || begin === null ? null : { all: now.all - begin.all, main: now.main - begin.main };

  function perGib(now, begin, bytes) {
    const cpu = spent(now, begin);
    const gib = bytes / (1024 * MIB);
    return cpu === null ? null : { all: cpu.all / gib, main: cpu.main / gib };
  }

  const speed = ({ seconds }, bytes) => bytes / 1e6 / seconds;

  async function seconds(act) {
    const begin = performance.now();
    await act();
    return (performance.now() - begin) / 1000;
  }

  return rows;
}
