import { UsageError } from '../base/errors.js';
import { parseDuration, parseSize } from '../config/units.js';
import { defaultReadings, type FourSharedName, type Readings } from '../sandbox/index.js';
import { runSandboxCommand } from '../sandbox/run.js';
import { print } from './context.js';

interface SandboxFlags {
  readonly provider: string;
  readonly port?: string;
  readonly dir?: string;
  readonly latency?: string;
  readonly bandwidth?: string;
  readonly quota?: string;
  readonly reading: readonly string[];
  readonly json?: boolean;
}

export async function sandboxCommand(flags: SandboxFlags): Promise<void> {
  await runSandboxCommand(
    {
      provider: providerOf(flags.provider),
      json: flags.json,
      ...(flags.port === undefined ? {} : { port: portOf(flags.port) }),
      ...(flags.dir === undefined ? {} : { dir: flags.dir }),
      ...(flags.latency === undefined ? {} : { latencyMs: parseDuration(flags.latency) }),
      ...(flags.bandwidth === undefined ? {} : { bandwidth: parseSize(flags.bandwidth) }),
      ...(flags.quota === undefined ? {} : { quotaBytes: parseSize(flags.quota) }),
      readings: readingsOf(flags.reading),
    },
    print,
  );
}

function providerOf(name: string): FourSharedName {
  if (name !== '4shared' && name !== '4sync') throw new UsageError(`there is no sandbox for '${name}' yet`);
  return name;
}

function portOf(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_533) throw new UsageError(`'${text}' is not a port`);
  return port;
}

/** `name=value`, the value as JSON where it is, else as a string. */
function readingsOf(texts: readonly string[]): Partial<Readings> {
  return Object.fromEntries(
    texts.map((text) => {
      const [name = '', value = ''] = text.split('=', 2);
      if (!(name in defaultReadings)) {
        throw new UsageError(`no reading '${name}': there are ${Object.keys(defaultReadings).join(', ')}`);
      }
      const standard = defaultReadings[name as keyof Readings];
      if (typeof standard === 'boolean') return [name, value === 'true'];
      return [name, typeof standard === 'number' ? Number(value) : value];
    }),
  );
}
