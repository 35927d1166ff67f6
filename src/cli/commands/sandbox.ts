import { readFileSync } from 'node:fs';
import { messageOf, UsageError } from '../../base/errors.js';
import { parseDuration, parseSize } from '../../config/units.js';
import {
  type AnySandboxOptions,
  fiveSyncPlans,
  type ProviderName,
  providerNames,
  readingsOf,
  type Tls,
} from '../../sandbox/index.js';
import { runSandboxCommand } from '../../sandbox/run.js';
import { print } from '../terminal/output.js';

interface SandboxFlags {
  readonly provider: string;
  readonly port?: string;
  readonly dir?: string;
  readonly latency?: string;
  readonly bandwidth?: string;
  readonly quota?: string;
  readonly rateLimit?: string;
  readonly plan?: string;
  readonly reading: readonly string[];
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly json?: boolean;
}

export async function sandboxCommand(flags: SandboxFlags): Promise<void> {
  const provider = providerOf(flags.provider);
  await runSandboxCommand(
    {
      provider,
      json: flags.json,
      ...(flags.port === undefined ? {} : { port: portOf(flags.port) }),
      ...(flags.dir === undefined ? {} : { dir: flags.dir }),
      ...(flags.latency === undefined ? {} : { latencyMs: parseDuration(flags.latency) }),
      ...(flags.bandwidth === undefined ? {} : { bandwidth: parseSize(flags.bandwidth) }),
      ...(flags.quota === undefined ? {} : { quotaBytes: parseSize(flags.quota) }),
      ...limitsOf(provider, flags),
      ...tlsOf(flags),
      readings: givenReadings(flags.reading, readingsOf[provider]),
    } as AnySandboxOptions & { json?: boolean },
    print,
  );
}

function providerOf(name: string): ProviderName {
  const known = providerNames.find((provider) => provider === name);
  if (known === undefined) throw new UsageError(`no provider '${name}': there are ${providerNames.join(', ')}`);
  return known;
}

/** Each service has its own form of this setting. */
function limitsOf(provider: ProviderName, { rateLimit, plan }: SandboxFlags): object {
  if (plan !== undefined && (provider !== '5sync' || !Object.hasOwn(fiveSyncPlans, plan)))
    throw new UsageError(`no plan '${plan}' of ${provider}: 5sync has ${Object.keys(fiveSyncPlans).join(', ')}`);
  if (rateLimit === undefined) return { ...(plan === undefined ? {} : { plan }) };
  const requests = Number(rateLimit);
  if (!Number.isInteger(requests) || requests < 1) throw new UsageError(`'${rateLimit}' is not a number of requests`);
  if (provider === 'acronis') throw new UsageError('the document of acronis names no limit of requests');
  return provider === '5sync' ? { requestsPerHour: requests } : { rateLimit: { requests, seconds: 3600 } };
}

function tlsOf({ tlsCert, tlsKey }: SandboxFlags): { tls?: Tls } {
  if (tlsCert === undefined && tlsKey === undefined) return {};
  if (tlsCert === undefined || tlsKey === undefined) throw new UsageError('--tls-cert and --tls-key need each other');
  return { tls: { cert: textOf(tlsCert), key: textOf(tlsKey) } };
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`${file} cannot be read: ${messageOf(error)}`);
  }
}

function portOf(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_533) throw new UsageError(`'${text}' is not a port`);
  return port;
}

/** Parses `name=value`. Each value has the type of the reading's default. */
function givenReadings(texts: readonly string[], defaults: object): object {
  const known = new Map<string, unknown>(Object.entries(defaults));
  return Object.fromEntries(
    texts.map((text) => {
      const [name = '', value = ''] = text.split('=', 2);
      if (!known.has(name)) throw new UsageError(`no reading '${name}': there are ${[...known.keys()].join(', ')}`);
      const standard = known.get(name);
      if (typeof standard === 'boolean') return [name, value === 'true'];
      return [name, typeof standard === 'number' ? Number(value) : value];
    }),
  );
}
