/** Starts a sandbox of Acronis File Sync & Share: the files' API and the identity provider on one host. */
import { randomBytes } from 'node:crypto';
import { BlobStore, blobDirectory } from '../content/blobs.js';
import { addControl, type ControlRoute, json } from '../control.js';
import { FaultPlan } from '../faults.js';
import { Listener } from '../http/listener.js';
import { Journal } from '../journal.js';
import { RequestLog } from '../log.js';
import { Actions } from './actions.js';
import { dialect } from './dialect.js';
import { Entities } from './entities.js';
import { type FileNode, type Node, Nodes } from './nodes.js';
import { oauthResources } from './oauth.js';
import {
  type AcronisCredentials,
  type AcronisOptions,
  type AcronisReadings,
  type AcronisSettings,
  acronisReadings,
  acronisSettings,
} from './options.js';
import { resources } from './routes.js';
import { AcronisStore, type NodeFlags } from './store.js';
import { AcronisTokens } from './tokens.js';

export interface AcronisSandbox {
  provider: 'acronis';
  /** `api` ends in `/fc/api/v1`. */
  endpoints: { api: string; token: string; authorize: string };
  /** The control address, which ends in `/_sandbox`. */
  control: string;
  /** A test may change the user's password while the sandbox runs. */
  credentials: AcronisCredentials;
  log: RequestLog;
  store: AcronisStore;
  faults: FaultPlan;
  tokens: AcronisTokens;
  /** A test may change both while the sandbox runs. */
  readings: AcronisReadings;
  settings: AcronisSettings;
  /** Resolves when no client is connected. Then the log is complete. */
  quiet(): Promise<void>;
  close(): Promise<void>;
}

export async function startAcronis(options: AcronisOptions): Promise<AcronisSandbox> {
  const { provider, host = '127.0.0.1', port = 0, dir, now = Date.now } = options;
  const readings: AcronisReadings = { ...acronisReadings, ...options.readings };
  const settings = acronisSettings(options);

  const journal = dir === undefined ? undefined : new Journal<Node, AcronisCredentials>(dir);
  const saved = journal?.saved;
  const credentials = { ...(options.credentials ?? saved?.credentials ?? randomCredentials()) };
  journal?.keepCredentials(credentials);
  const changed = (token: string, value: string | null) => journal?.token(token, value);
  const tokens = new AcronisTokens(saved?.tokens ?? new Map(), readings, settings, now, changed);

  const loaded = [...(saved?.items.values() ?? [])];
  const blobs = new BlobStore(await blobDirectory(dir), dir !== undefined);
  await blobs.open(loaded.filter((node): node is FileNode => node.kind === 'file').map(({ blob }) => blob));
  const nodes = new Nodes(loaded, readings, now, journal ?? { put: () => undefined, remove: () => undefined });
  const entities = new Entities(nodes, readings, settings, () => credentials.username);
  const actions = new Actions(nodes, entities, blobs, readings, settings);

  const log = new RequestLog();
  const faults = new FaultPlan(options.faults);
  const store = new AcronisStore(nodes, actions, blobs);
  const services = { log, faults, settings, readings, now, tls: options.tls };
  const api = new Listener('api', services, dialect(tokens, readings), [
    ...oauthResources({ tokens, credentials, readings, settings, now }),
    ...resources({ nodes, actions, entities, blobs, readings }),
  ]);
  const endpoints = { api: '', token: '', authorize: '' };
  const info = () => ({ provider, endpoints, rootFolderId: nodes.root.id, readings, settings });
  addControl(api.app, { log, faults, store, readings, settings, info, routes: controlRoutes(store, tokens) });

  const close = async () => {
    await api.app.close();
    journal?.close();
    await blobs.close();
  };
  const quiet = () => api.quiet();
  let control = '';
  try {
    const origin = await api.listen(host, port);
    control = `${origin}/_sandbox`;
    endpoints.api = `${origin}/fc/api/v1`;
    endpoints.token = `${origin}/api/2/idp/token`;
    endpoints.authorize = `${origin}/api/2/idp/authorize`;
  } catch (error) {
    await close();
    throw error;
  }
  return { provider, endpoints, control, credentials, log, store, faults, tokens, readings, settings, quiet, close };
}

function randomCredentials(): AcronisCredentials {
  return {
    username: 'user@example.com',
    password: randomBytes(9).toString('base64url'),
    clientId: randomBytes(8).toString('hex'),
    clientSecret: randomBytes(20).toString('hex'),
  };
}

function controlRoutes(store: AcronisStore, tokens: AcronisTokens): ControlRoute[] {
  const given = async (request: Parameters<typeof json>[0]) => (await json<{ token?: string }>(request)).token;
  return [
    {
      method: 'POST',
      path: '/nodes/*',
      handle: async ({ path, request }) => store.setNode(path, await json<NodeFlags>(request)),
    },
    { method: 'POST', path: '/revoke', handle: async ({ request }) => tokens.revoke(await given(request)) },
    { method: 'POST', path: '/expire', handle: async ({ request }) => tokens.expire(await given(request)) },
    {
      method: 'POST',
      path: '/tokens',
      handle: async ({ request }) => tokens.grant((await json<{ clientId?: string }>(request)).clientId),
    },
  ];
}
