/** Starts a sandbox of 4shared or 4Sync: three hosts on three ports, with one account. */

import { BlobStore, blobDirectory } from '../content/blobs.js';
import { addControl, type ControlRoute, json, text } from '../control.js';
import { FaultPlan } from '../faults.js';
import { Listener, type Services } from '../http/listener.js';
import { Journal } from '../journal.js';
import { RequestLog } from '../log.js';
import type { FourSharedName } from '../options.js';
import { dialect } from './dialect.js';
import { Entities } from './entities.js';
import { oauthResources, Tokens } from './oauth/flow.js';
import { OAuthGuard, randomCredentials } from './oauth/guard.js';
import {
  defaultReadings,
  type Readings,
  type SandboxCredentials,
  type SandboxOptions,
  type Settings,
  settingsFrom,
} from './options.js';
import { RateLimiter } from './rate-limiter.js';
import { downloadResources, fileResources, Tickets } from './routes/files.js';
import { folderResources } from './routes/folders.js';
import { uploadResources } from './routes/upload.js';
import { userResources } from './routes/user.js';
import type { World } from './routes/world.js';
import { Account } from './state/account.js';
import { Actions } from './state/actions.js';
import type { Item } from './state/items.js';
import { Rules } from './state/rules.js';
import { Uploads } from './state/uploads.js';
import { type FolderFlags, SandboxStore } from './store.js';

export interface Sandbox {
  provider: FourSharedName;
  /** Each ends in `/v1_2`. */
  endpoints: { api: string; upload: string };
  /** The control address, which ends in `/_sandbox`. */
  control: string;
  credentials: SandboxCredentials;
  log: RequestLog;
  store: SandboxStore;
  faults: FaultPlan;
  tokens: Tokens;
  /** A test may change both while the sandbox runs. */
  readings: Readings;
  settings: Settings;
  /** Resolves when no client is connected. Then the log is complete. */
  quiet(): Promise<void>;
  close(): Promise<void>;
}

const rootNames: Record<FourSharedName, string> = { '4shared': 'My 4shared', '4sync': 'My 4Sync' };

export async function startFourShared(options: SandboxOptions = {}): Promise<Sandbox> {
  const { provider = '4shared', host = '127.0.0.1', port = 0, dir, now = Date.now } = options;
  const readings: Readings = { ...defaultReadings, ...options.readings };
  const settings = settingsFrom(options);

  const journal = dir === undefined ? undefined : new Journal<Item, SandboxCredentials>(dir);
  const saved = journal?.saved;
  const credentials = options.credentials ?? saved?.credentials ?? randomCredentials();
  journal?.keepCredentials(credentials);
  const tokens = new Tokens(saved?.tokens ?? new Map(), (token, secret) => journal?.token(token, secret));
  tokens.accessTokens.set(credentials.token, credentials.tokenSecret);

  const items = [...(saved?.items.values() ?? [])];
  const blobs = new BlobStore(await blobDirectory(dir), dir !== undefined);
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
  const services: Services = { log, faults, settings, readings, now, tls: options.tls };
  const spoken = dialect(guard, new RateLimiter(settings, now));
  const tickets = new Tickets();
  const api = new Listener('api', services, spoken, [
    ...oauthResources(tokens, readings),
    ...userResources(world),
    ...folderResources(world),
    ...fileResources(world, tickets),
  ]);
  const upload = new Listener('upload', services, spoken, uploadResources(world));
  const download = new Listener('download', services, spoken, downloadResources(world, tickets));
  const listeners = [api, upload, download];
  const info = () => ({ provider, endpoints, rootFolderId: account.root.id, readings, settings });
  addControl(api.app, { log, faults, store, readings, settings, info, routes: controlRoutes(store, tokens) });

  const close = async () => {
    await Promise.all(listeners.map(({ app }) => app.close()));
    await uploads.close();
    journal?.close();
    await blobs.close();
  };
  const quiet = async () => {
    for (const listener of listeners) await listener.quiet();
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
    throw error;
  }
  return { provider, endpoints, control, credentials, log, store, faults, tokens, readings, settings, quiet, close };
}

function controlRoutes(store: SandboxStore, tokens: Tokens): ControlRoute[] {
  return [
    {
      method: 'POST',
      path: '/folders/*',
      handle: async ({ path, request }) => store.setFolder(path, await json<FolderFlags>(request)),
    },
    {
      method: 'POST',
      path: '/revoke',
      handle: async ({ request }) => tokens.revoke((await json<{ token?: string }>(request)).token),
    },
    {
      method: 'POST',
      path: '/approve',
      handle: async ({ request }) => ({ verifier: tokens.approve(text(await json(request), 'token')) }),
    },
  ];
}
