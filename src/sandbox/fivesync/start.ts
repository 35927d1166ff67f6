/** Starts a sandbox of 5sync: one host, one account, and at first one key. */
import { BlobStore, blobDirectory } from '../content/blobs.js';
import { addControl, type ControlRoute, json } from '../control.js';
import { FaultPlan } from '../faults.js';
import { Listener } from '../http/listener.js';
import { Journal } from '../journal.js';
import { RequestLog } from '../log.js';
import { Clock } from './clock.js';
import { dialect } from './dialect.js';
import { Feed } from './feed.js';
import { Files } from './files.js';
import { ApiKeys, RollingLimit, randomKey } from './keys.js';
import {
  type FiveSyncCredentials,
  type FiveSyncOptions,
  type FiveSyncReadings,
  type FiveSyncSettings,
  fiveSyncReadings,
  fiveSyncSettings,
} from './options.js';
import type { EventRecord, FileRecord, Rec, UploadRecord } from './records.js';
import { resources } from './routes.js';
import { FiveSyncStore } from './store.js';
import { Uploads } from './uploads.js';

export interface FiveSyncSandbox {
  provider: '5sync';
  /** Ends in `/v1`. */
  endpoints: { api: string };
  /** The control address, which ends in `/_sandbox`. */
  control: string;
  credentials: FiveSyncCredentials;
  log: RequestLog;
  store: FiveSyncStore;
  faults: FaultPlan;
  tokens: ApiKeys;
  /** The remaining requests of each key. */
  rate: RollingLimit;
  /** A test may change both while the sandbox runs. */
  readings: FiveSyncReadings;
  settings: FiveSyncSettings;
  /** Resolves when no client is connected. Then the log is complete. */
  quiet(): Promise<void>;
  close(): Promise<void>;
}

export async function startFiveSync(options: FiveSyncOptions): Promise<FiveSyncSandbox> {
  const { provider, host = '127.0.0.1', port = 0, dir, now = Date.now } = options;
  const readings: FiveSyncReadings = { ...fiveSyncReadings, ...options.readings };
  const settings = fiveSyncSettings(options);

  const journal = dir === undefined ? undefined : new Journal<Rec, FiveSyncCredentials>(dir);
  const saved = journal?.saved;
  const credentials = options.credentials ?? saved?.credentials ?? { apiKey: randomKey() };
  journal?.keepCredentials(credentials);
  const tokens = new ApiKeys(saved?.tokens.keys() ?? [], (key, value) => journal?.token(key, value));
  tokens.keys.add(credentials.apiKey);

  const records = [...(saved?.items.values() ?? [])];
  const stored = records.filter((record): record is FileRecord => record.kind === 'file');
  const begun = records.filter((record): record is UploadRecord => record.kind === 'upload');
  const blobs = new BlobStore(await blobDirectory(dir), dir !== undefined);
  await blobs.open([...stored, ...begun].map(({ blob }) => blob));

  const keeper = journal ?? { put: () => undefined, remove: () => undefined };
  const clock = new Clock(now, readings);
  const events = records.filter((record): record is EventRecord => record.kind === 'event');
  const feed = new Feed(events, clock, readings, settings, keeper);
  const files = new Files(stored, feed, blobs, clock, readings, settings, keeper);
  const uploads = new Uploads(begun, files, blobs, clock, readings, settings, keeper);

  const log = new RequestLog();
  const faults = new FaultPlan(options.faults);
  const store = new FiveSyncStore(files, blobs);
  const rate = new RollingLimit(settings, readings, clock);
  const spoken = dialect(tokens, rate, settings, clock);
  const services = { log, faults, settings, readings, now, tls: options.tls };
  const world = { files, feed, uploads, blobs, clock, readings, settings };
  const api = new Listener('api', services, spoken, resources(world));
  const endpoints = { api: '' };
  const info = () => ({ provider, endpoints, readings, settings });
  addControl(api.app, { log, faults, store, readings, settings, info, routes: controlRoutes(tokens, rate) });

  const close = async () => {
    await api.app.close();
    await uploads.close();
    journal?.close();
    await blobs.close();
  };
  const quiet = () => api.quiet();
  let control = '';
  try {
    const origin = await api.listen(host, port);
    endpoints.api = `${origin}/v1`;
    control = `${origin}/_sandbox`;
  } catch (error) {
    await close();
    throw error;
  }
  return {
    provider,
    endpoints,
    control,
    credentials,
    log,
    store,
    faults,
    tokens,
    rate,
    readings,
    settings,
    quiet,
    close,
  };
}

function controlRoutes(tokens: ApiKeys, rate: RollingLimit): ControlRoute[] {
  const given = async (request: Parameters<typeof json>[0]) => (await json<{ token?: string }>(request)).token;
  return [
    { method: 'POST', path: '/revoke', handle: async ({ request }) => tokens.revoke(await given(request)) },
    { method: 'POST', path: '/expire', handle: async ({ request }) => tokens.expire(await given(request)) },
    { method: 'POST', path: '/tokens', handle: () => ({ apiKey: tokens.issue() }) },
    { method: 'POST', path: '/reset-rate', handle: () => rate.reset() },
  ];
}
