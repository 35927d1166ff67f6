/**
 * A local server that speaks the 4shared / 4Sync REST protocol strictly, written from the providers' documents alone.
 * What they forbid it refuses with their error codes; what they leave open is a reading that can be switched.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { addControl } from './control.js';
import { Entities } from './entities.js';
import { FaultPlan } from './faults.js';
import { Listener, type Services } from './http/listener.js';
import { RateLimiter } from './http/rate-limiter.js';
import { RequestLog } from './log.js';
import { oauthResources, Tokens } from './oauth/flow.js';
import { OAuthGuard, randomCredentials } from './oauth/guard.js';
import {
  defaultReadings,
  type ProviderName,
  type Readings,
  type SandboxCredentials,
  type SandboxOptions,
  type Settings,
  settingsFrom,
} from './options.js';
import { downloadResources, fileResources, Tickets } from './routes/files.js';
import { folderResources } from './routes/folders.js';
import { uploadResources } from './routes/upload.js';
import { userResources } from './routes/user.js';
import type { World } from './routes/world.js';
import { Account } from './state/account.js';
import { Actions } from './state/actions.js';
import { BlobStore } from './state/blobs.js';
import { Journal } from './state/journal.js';
import { Rules } from './state/rules.js';
import { Uploads } from './state/uploads.js';
import { SandboxStore } from './store.js';

export type { ErrorBody } from './errors.js';
export { type FaultAction, FaultPlan, type FaultRule } from './faults.js';
export { type LogEntry, type LogFilter, type LogTotals, RequestLog } from './log.js';
export type { Tokens } from './oauth/flow.js';
export {
  defaultReadings,
  type HostName,
  type ProviderName,
  type RateLimit,
  type Readings,
  type SandboxCredentials,
  type SandboxOptions,
  type Settings,
} from './options.js';
export type { Content, Entry, FolderFlags, SandboxStore } from './store.js';

export interface Sandbox {
  provider: ProviderName;
  /** Each ends in `/v1_2`. */
  endpoints: { api: string; upload: string };
  /** The control address, which ends in `/_sandbox`. */
  control: string;
  credentials: SandboxCredentials;
  log: RequestLog;
  store: SandboxStore;
  faults: FaultPlan;
  tokens: Tokens;
  /** Both may be changed while it runs. */
  readings: Readings;
  settings: Settings;
  /** Resolves when no client is connected: then everything that was sent is in the log. */
  quiet(): Promise<void>;
  close(): Promise<void>;
}

const rootNames: Record<ProviderName, string> = { '4shared': 'My 4shared', '4sync': 'My 4Sync' };

export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const { provider = '4shared', host = '127.0.0.1', port = 0, dir, now = Date.now } = options;
  const readings: Readings = { ...defaultReadings, ...options.readings };
  const settings = settingsFrom(options);

  const journal = dir === undefined ? undefined : new Journal(dir);
  const saved = journal?.saved;
  const credentials = options.credentials ?? saved?.credentials ?? randomCredentials();
  journal?.keepCredentials(credentials);
  const tokens = new Tokens(saved?.tokens ?? new Map(), (token, secret) => journal?.token(token, secret));
  tokens.accessTokens.set(credentials.token, credentials.tokenSecret);

  const items = [...(saved?.items.values() ?? [])];
  const blobDir = dir === undefined ? await mkdtemp(join(tmpdir(), 'syncmount-sandbox-')) : join(dir, 'blobs');
  const blobs = new BlobStore(blobDir, dir !== undefined);
  const used = items.flatMap((item) => (item.kind === 'file' ? [item.blob, item.upload?.blob] : []));
  await blobs.open(used.filter((blob) => blob !== undefined));

  const keeper = journal ?? { put: () => undefined, remove: () => undefined };
  const account = new Account(items, rootNames[provider], readings, now, keeper);
  const rules = new Rules(account, settings);
  const actions = new Actions(account, rules, blobs);
  const uploads = new Uploads(account, actions, blobs, settings);
  const entities = new Entities(provider, account, settings, readings);
  const world: World = { account, rules, actions, uploads, blobs, entities, readings, settings };

  const log = new RequestLog();
  const faults = new FaultPlan(options.faults);
  const store = new SandboxStore(account, actions, blobs);
  const guard = new OAuthGuard(credentials, tokens, settings, now);
  const services: Services = { guard, log, faults, settings, now, limiter: new RateLimiter(settings, now) };
  const tickets = new Tickets();
  const api = new Listener('api', services, [
    ...oauthResources(tokens, readings),
    ...userResources(world),
    ...folderResources(world),
    ...fileResources(world, tickets),
  ]);
  const upload = new Listener('upload', services, uploadResources(world));
  const download = new Listener('download', services, downloadResources(world, tickets));
  const listeners = [api, upload, download];
  const info = () => ({ provider, endpoints, rootFolderId: account.root.id, readings, settings });
  addControl(api.app, { log, faults, store, readings, settings, tokens, info });

  const close = async () => {
    await Promise.all(listeners.map(({ app }) => app.close()));
    await uploads.close();
    journal?.close();
    await blobs.close();
  };
  const quiet = async () => {
    for (const { app } of listeners) while ((await connectionsOf(app.server)) > 0) await setImmediate();
  };
  const endpoints = { api: '', upload: '' };
  let control = '';
  try {
    const origin = await api.listen(host, port);
    control = `${origin}/_sandbox`;
    endpoints.api = `${origin}/v1_2`;
    endpoints.upload = `${await upload.listen(host, port && port + 1)}/v1_2`;
    tickets.origin = await download.listen(host, port && port + 2);
  } catch (error) {
    await close();
    if (dir === undefined) await rm(blobDir, { recursive: true, force: true });
    throw error;
  }
  return { provider, endpoints, control, credentials, log, store, faults, tokens, readings, settings, quiet, close };
}

function connectionsOf(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
  });
}
