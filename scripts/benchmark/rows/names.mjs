// Walks of a tree, and look-ups of names.
import { spent } from './measures.mjs';

export function nameRows(sizes, { sh }) {
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
  ];

  /** In perl, because Python takes twice as long for a name on the disk (5 µs), and that time is not the mount's. */
  async function statMissing(c, callers) {
    const each = Math.floor(sizes.missing / callers);
    const script = `for n in $(seq ${callers}); do
      perl -e 'my ($mnt, $first, $count) = @ARGV; stat("$mnt/missing-$_") for $first .. $first + $count - 1' \
        "$MNT" $((n * 1000000 + RANDOM * 31)) ${each} &
    done; wait`;
    await sh('ls "$MNT" > /dev/null', c.mnt);
    return (each * callers) / (await sh(script, c.mnt)).seconds;
  }

  return rows;
}
