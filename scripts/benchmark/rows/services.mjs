// A large file stored at the other services, compared with curl on the same link.
import { MIB, perGib, seconds } from './measures.mjs';

/** `connections`: how many an upload may use at the service. Eight, as in the row of the reads, or one if it is a single request. */
const services = [
  { provider: '5sync', title: '5sync', connections: 8, curls: 'eight curls, a part each' },
  { provider: 'acronis', title: 'Acronis', connections: 1, curls: 'one curl' },
];

export function serviceRows(sizes, { sh }) {
  return services.flatMap(({ provider, title, connections, curls }) => {
    const source = `$TOP/written-${provider}.bin`;
    /** By contender: CPU of the mount for the write, seconds a GiB. */
    const spent = new Map();
    const cpuRow = (name, what, of) => ({
      name,
      title: what,
      unit: 's a GiB',
      measure: async (c) => (spent.has(c.name) ? of(spent.get(c.name)) : null),
    });
    return [
      {
        name: `write-${provider}`,
        title: `${sizes.written / MIB} MiB written to ${title}, until stored`,
        unit: 's',
        async measure(c) {
          if (c.service === undefined) return null;
          const service = await c.service(provider);
          await sh(`head -c ${sizes.written} /dev/urandom > "${source}"`);
          await service.mount();
          const [requests, cpu] = [await service.requests(), await service.cpu()];
          const figure = await seconds(() => sh(`cp "${source}" "$MNT/large"`, service.mnt));
          spent.set(c.name, perGib(await service.cpu(), cpu, sizes.written));
          const result = { figure, requests: (await service.requests()) - requests, stall: await service.stall() };
          await service.umount();
          return result;
        },
      },
      cpuRow(`write-${provider}-cpu`, 'CPU of the mount for it', ({ all }) => all),
      cpuRow(`write-${provider}-cpu-main`, 'of it on the thread that answers everything else', ({ main }) => main),
      {
        name: `write-${provider}-curl`,
        title: `${sizes.written / MIB} MiB stored at ${title} by ${curls}`,
        unit: 's',
        async measure(c) {
          if (c.service === undefined) return null;
          const service = await c.service(provider);
          return (await service.curlUpload((await sh(`echo "${source}"`)).out, connections)).seconds;
        },
      },
    ];
  });
}
