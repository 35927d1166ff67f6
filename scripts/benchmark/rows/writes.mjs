// Writes of one large file and of many small ones.
import { MIB, perGib, seconds, speed, spent } from './measures.mjs';

/** Rows for the CPU time of the bare program, multiplied by `times`: in all threads, and in the first one. */
function bareCpuRows(name, unit, resultOf, times) {
  const row = (suffix, title, part) => ({
    name: `${name}-${suffix}`,
    title,
    unit,
    measure: async (c) => (resultOf(c) === undefined ? null : resultOf(c).cpu[part] * times),
  });
  return [row('cpu', 'CPU of the bare program', 'all'), row('cpu-main', 'of it on its first thread', 'main')];
}

export function writeRows(sizes, { top, sh, until }) {
  const rows = [
    {
      name: 'write-large',
      title: `${sizes.written / MIB} MiB written, until stored`,
      unit: 's',
      async measure(c) {
        await sh(`head -c ${sizes.written} /dev/urandom > "$TOP/written.bin"; mkdir -p "$MNT/w"`, c.mnt);
        const begin = await c.cpu();
        const took = await seconds(async () => {
          await sh('cp "$TOP/written.bin" "$MNT/w/large"; [ "$MNT" != "$TOP/disk" ] || sync "$MNT/w/large"', c.mnt);
          if (!c.storesAtClose) await until('the upload', c.isStored, 600_000);
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
      name: 'write-curl',
      title: `${sizes.written / MIB} MiB stored by eight curls, a chunk each`,
      unit: 's',
      measure: async (c) => (c.curlUpload === undefined ? null : (await c.curlUpload(`${top}/written.bin`, 8)).seconds),
    },
    {
      name: 'write-bare',
      title: 'the same by a bare program that keeps, checks and sends it',
      unit: 's',
      async measure(c) {
        if (c.bare === undefined) return null;
        c.bareWrite = await c.bare.write(`${top}/written.bin`);
        return c.bareWrite.seconds;
      },
    },
    ...bareCpuRows('write-bare', 's a GiB', ({ bareWrite }) => bareWrite, (1024 * MIB) / sizes.written),
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
      name: 'small-bare',
      title: 'so many stored by a bare program that keeps, checks and sends them',
      unit: 's',
      async measure(c) {
        if (c.bare === undefined) return null;
        c.bareSmall = await c.bare.small(sizes.small);
        return c.bareSmall.seconds;
      },
    },
    ...bareCpuRows('small-bare', 'ms', ({ bareSmall }) => bareSmall, 1000 / sizes.small),
    {
      name: 'small-1',
      title: `${sizes.small} files of 4 KiB created and read back by one program (--write-back), not waiting for the uploads`,
      unit: 'files/s',
      more: true,
      measure: (c) => smallFiles(c, 1),
    },
    {
      name: 'small-4',
      title: 'the same by four programs at once, a folder each',
      unit: 'files/s',
      more: true,
      measure: (c) => smallFiles(c, 4),
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

  /** On the disk each file is synced, because `close` with --write-back does that, too. */
  async function smallFiles(c, programs) {
    const each = Math.floor(sizes.small / programs);
    const script = `python3 -c "
import os, sys, time
folder, data = os.environ['MNT'] + '/w/by-${programs}', os.urandom(4096)
def work(n):
    os.mkdir('%s/%d' % (folder, n))
    names = ['%s/%d/%d' % (folder, n, i) for i in range(${each})]
    for name in names:
        with open(name, 'wb') as file:
            file.write(data)
            if os.environ['MNT'].endswith('/disk'): file.flush(), os.fsync(file.fileno())
    for name in names:
        with open(name, 'rb') as file:
            if file.read() != data: sys.exit(name + ' is not what was written')
os.mkdir(folder)
begin, children = time.monotonic(), []
for n in range(${programs}):
    child = os.fork()
    if child == 0: work(n); os._exit(0)
    children.append(child)
if any([os.waitpid(child, 0)[1] for child in children]): sys.exit('a program failed')
print(time.monotonic() - begin)"`;
    const took = Number((await sh(script, c.mnt)).out);
    await until('the uploads', c.isStored, 600_000);
    return (each * programs) / took;
  }

  return rows;
}
