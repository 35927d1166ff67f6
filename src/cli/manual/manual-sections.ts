/** Sections of the manual about one subject each, which `syncmount help` also prints alone. */
import type { SectionTopic } from './help-topics.js';
import type { Section } from './manual-format.js';

export const subjects: Readonly<Record<SectionTopic, Section>> = {
  limits: {
    title: 'Limits',
    blocks: [
      '`--bwlimit` limits all connections of a mount together, separately for each direction: DOWN:UP, one rate for both, or off. A rate is bytes a second and needs a unit (512K, 5M, 100B). A timetable uses the local time of this machine. Entries without a day are for every day; an entry with a day wins over one without at the same time:',
      {
        code: 'syncmount mount work: ~/cloud --bwlimit 5M:1M\nsyncmount mount work: ~/cloud --bwlimit "08:00,512K:128K 19:00,off Sat-08:00,off Sun-08:00,off"',
      },
      'Contents wait for their share; requests and listings are counted, but go at once. That wait does not count toward any deadline. In -o a comma within a value has a backslash before it.',
      '`--transfers` is how many files are uploaded at a time; the others wait in their order.',
      '`--exclude` takes a pattern of names, with *, ? and [...] as in a shell. Files with such a name, or in a directory with such a name, are never uploaded: they stay on this machine, outlive the mount, show in `status` as excluded, and umount does not wait for them. A rename to another name uploads them.',
      '`syncmount set` changes a running mount, until its end:',
      { code: 'syncmount set ~/cloud bwlimit=off transfers=8\nsyncmount set ~/cloud' },
      'To upload nothing for a while: `syncmount pause` and `syncmount resume`.',
    ],
  },
  monitoring: {
    title: 'Monitoring',
    blocks: [
      '`syncmount status` shows the state of a mount, also as JSON. `syncmount log` prints its log:',
      { code: 'syncmount log -f work:\nsyncmount log work: --level warn --since 1h' },
      'A mount in the background logs JSON to log/ACCOUNT.log in the state directory. At --log-max-size, or after --log-max-age, the file is renamed to ACCOUNT.log.1 and so on, and --log-keep of them are kept. SIGHUP makes the mount open the file anew, as logrotate needs it. A mount in the foreground logs text to standard error, with priorities if that is the journal of systemd.',
      '`--metrics 9469` answers Prometheus at http://127.0.0.1:9469/metrics; IP:PORT and the path of a Unix socket are taken too. Each mount needs an address of its own. Without it, for the text-file collector of node_exporter:',
      { code: 'syncmount metrics > syncmount.prom.tmp && mv syncmount.prom.tmp syncmount.prom' },
      'docs/monitoring.md has the metrics, and docs/monitoring/ rules for alerts and a dashboard.',
    ],
  },
};
