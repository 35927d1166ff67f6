/** Every provider by name: its endpoints, the schema of its credentials, and how to create it. */
import { z } from 'zod';
import type { Clock } from '../base/clock.js';
import { UsageError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { acronisEndpoints, createAcronis } from './acronis/provider.js';
import type { AcronisCredentials, Renewal } from './acronis/tokens.js';
import type { FiveSyncCredentials } from './fivesync/api.js';
import { createFiveSync, fiveSyncEndpoints } from './fivesync/provider.js';
import type { FourSharedCredentials } from './fourshared/api.js';
import { createFourShared, fourSharedEndpoints } from './fourshared/provider.js';
import { checkEndpoint } from './http/client/endpoint.js';
import type { MakeExchanger } from './http/transport/exchanger.js';
import type { Bandwidth } from './http/transport/token-bucket.js';
import { PROVIDER_NAMES, type Provider, type ProviderName } from './provider.js';

export interface ProviderSettings {
  /** Base URLs by key; a missing key has its default. */
  readonly endpoints?: Readonly<Record<string, string>>;
  /** As read from the account's file; validated here. */
  readonly credentials: unknown;
  /** Longest time for a request with its repeats, ms. */
  readonly deadlineMs?: number;
  /** A try fails when no byte has moved for this long, ms. */
  readonly stallMs?: number;
  readonly clock?: Clock;
  readonly log?: Log;
  readonly chunkBytes?: number;
  readonly simpleUploadLimit?: number;
  readonly disposal?: 'trash' | 'permanent';
  readonly maxConnections?: number;
  /** Transfers large bodies; default: on the event loop. */
  readonly bulk?: MakeExchanger;
  /** The bandwidth limits of transfers on the event loop; default: none. */
  readonly bandwidth?: Bandwidth;
  /** Acronis: renews the tokens and stores the new ones. */
  readonly renewal?: Renewal;
}

/** Credentials as stored: strings only. */
export type Credentials = FourSharedCredentials | FiveSyncCredentials | AcronisCredentials;

interface Entry {
  /** Default base URLs; null if the user must give one. */
  readonly endpoints: Readonly<Record<string, string | null>>;
  /** The path that each base URL must end in. */
  readonly suffix: Readonly<Record<string, string>>;
  readonly credentials: z.ZodType<Credentials>;
  create(settings: ProviderSettings, endpoints: Readonly<Record<string, string>>, credentials: unknown): Provider;
}

/** Checks that the schema of the credentials and `create` agree on their type. */
function define<C extends Credentials>(
  entry: Pick<Entry, 'endpoints' | 'suffix'> & {
    readonly credentials: z.ZodType<C>;
    create(settings: ProviderSettings, endpoints: Readonly<Record<string, string>>, credentials: C): Provider;
  },
): Entry {
  return {
    ...entry,
    create: (settings, endpoints, credentials) =>
      entry.create(settings, endpoints, entry.credentials.parse(credentials)),
  };
}

const secret = z.string().trim().min(1);
const fourSharedCredentials = z.object({
  consumerKey: secret,
  consumerSecret: secret,
  token: secret,
  tokenSecret: secret,
});

function fourShared(name: '4shared' | '4sync'): Entry {
  return define({
    endpoints: { ...fourSharedEndpoints[name] },
    suffix: { api: '/v1_2', upload: '/v1_2' },
    credentials: fourSharedCredentials,
    create: (settings, endpoints, credentials) =>
      createFourShared(name, {
        ...settings,
        endpoints: { api: endpoints.api ?? '', upload: endpoints.upload ?? '' },
        credentials,
      }),
  });
}

const fiveSync = define({
  endpoints: fiveSyncEndpoints,
  suffix: { api: '/v1' },
  credentials: z.object({ apiKey: secret }),
  create: (settings, endpoints, credentials) =>
    createFiveSync({ ...settings, endpoints: { api: endpoints.api ?? '' }, credentials }),
});

/** Not trimmed: passwords may begin or end with spaces. */
const password = z.string().min(1);
const acronisCredentials: z.ZodType<AcronisCredentials> = z
  .object({
    username: secret.optional(),
    password: password.optional(),
    clientId: secret.optional(),
    clientSecret: secret.optional(),
    accessToken: secret.optional(),
    refreshToken: secret.optional(),
    expiresAt: z.iso.datetime().optional(),
  })
  .superRefine((given, context) => {
    const hasPassword = given.username !== undefined && given.password !== undefined;
    if (hasPassword || given.accessToken !== undefined || given.refreshToken !== undefined) return;
    const missing = given.username === undefined ? 'username' : 'password';
    context.addIssue({ code: 'custom', path: [missing], message: 'neither a password nor a token' });
  });

const acronis = define({
  endpoints: acronisEndpoints,
  suffix: { api: '/fc/api/v1' },
  credentials: acronisCredentials,
  create: (settings, endpoints, credentials) =>
    createAcronis({
      ...settings,
      endpoints: { api: endpoints.api ?? '', token: endpoints.token ?? '' },
      credentials,
    }),
});

const entries: Record<ProviderName, Entry> = {
  '4shared': fourShared('4shared'),
  '4sync': fourShared('4sync'),
  '5sync': fiveSync,
  acronis,
};

/** Checks a provider's name as typed. Throws `UsageError`. */
export function parseProviderName(value: string): ProviderName {
  const name = PROVIDER_NAMES.find((known) => known === value.toLowerCase());
  if (name === undefined) throw new UsageError(`no provider "${value}": there are ${PROVIDER_NAMES.join(', ')}`);
  return name;
}

/** True if this version can create this provider. */
export function isSupported(name: ProviderName): boolean {
  return entries[name] !== undefined;
}

function entryOf(name: ProviderName): Entry {
  return entries[name];
}

/** The keys that `--endpoint KEY=URL` takes for this provider. */
export function endpointKeys(name: ProviderName): string[] {
  return Object.keys(entryOf(name).endpoints);
}

/** The base URLs of the public service. */
export function defaultEndpoints(name: ProviderName): Record<string, string> {
  return resolveEndpoints(name, {});
}

/** All base URLs, with defaults for missing ones, without trailing slashes. Throws `UsageError`. */
export function resolveEndpoints(
  name: ProviderName,
  given: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const { endpoints, suffix } = entryOf(name);
  for (const key of Object.keys(given))
    if (!Object.hasOwn(endpoints, key))
      throw new UsageError(`${name} has no endpoint "${key}": there are ${Object.keys(endpoints).join(', ')}`);
  const resolved: Record<string, string> = {};
  for (const [key, standard] of Object.entries(endpoints)) {
    const value = given[key] ?? standard;
    if (value === null) throw new UsageError(`${name} needs the endpoint "${key}"`);
    const checked = checkEndpoint(value, suffix[key] ?? '');
    if ('problem' in checked) throw new UsageError(`endpoint ${key}: ${checked.problem}`);
    resolved[key] = checked.url;
  }
  return resolved;
}

/** Removes keys with the value null from credentials: people write them for values that they do not have. */
export function withoutNulls(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== null));
}

/** The keys that are present with an invalid value. */
export function wrongCredentialKeys(name: ProviderName, value: Readonly<Record<string, unknown>>): string[] {
  const issues = entryOf(name).credentials.safeParse(withoutNulls(value)).error?.issues ?? [];
  const keys = issues.map(({ path: [key] }) => String(key));
  return [...new Set(keys)].filter((key) => (value[key] ?? undefined) !== undefined);
}

/** Checks credentials. Throws `UsageError`; its message names fields, never values. */
export function parseCredentials(name: ProviderName, value: unknown): Credentials {
  const parsed = entryOf(name).credentials.safeParse(withoutNulls(value));
  if (parsed.success) return parsed.data;
  const fields = [...new Set(parsed.error.issues.map((issue) => issue.path.join('.')))].filter((field) => field !== '');
  throw new UsageError(
    fields.length === 0
      ? `the credentials of ${name} must be a JSON object`
      : `the credentials of ${name} lack a valid ${fields.join(', ')}`,
  );
}

/** Creates a provider without a request: call `account()` to check that the credentials work. Throws `UsageError`. */
export function createProvider(name: ProviderName, settings: ProviderSettings): Provider {
  const entry = entryOf(name);
  return entry.create(
    settings,
    resolveEndpoints(name, settings.endpoints),
    parseCredentials(name, settings.credentials),
  );
}
