/** The contract's world for 4shared and 4Sync: the sandbox, and the names of its requests. */

import type { Provider } from '../../src/providers/provider.js';
import { createProvider, type ProviderSettings } from '../../src/providers/registry.js';
import {
  type HostName,
  type Readings,
  type Sandbox,
  type SandboxOptions,
  startSandbox,
} from '../../src/sandbox/index.js';
import { type ContractServer, type ContractSetup, HurriedClock, type Operation, type SeenRequest } from './bench.js';

const MiB = 1024 * 1024;

interface Route {
  readonly route: string;
  readonly host: HostName;
}

const api = (route: string): Route => ({ route, host: 'api' });
const upload = (route: string): Route => ({ route, host: 'upload' });

const routes: Readonly<Partial<Record<Operation, Route>>> = {
  account: api('GET /user'),
  'list-files': api('GET /folder/{id}/files'),
  'list-folders': api('GET /folder/{id}/children'),
  'stat-file': api('GET /files/{id}'),
  'stat-folder': api('GET /folder/{id}'),
  download: api('GET /files/{id}/download'),
  'create-folder': api('POST /folders'),
  upload: upload('POST /files'),
  replace: upload('PUT /files/{id}'),
  'upload-start': upload('POST /upload'),
  'upload-chunk': upload('POST /upload/{id}'),
  'upload-status': upload('GET /upload/{id}/status'),
  'rename-file': api('PUT /files/{id}'),
  'rename-folder': api('PUT /folders/{id}'),
  'move-file': api('POST /files/{id}/move'),
  'move-folder': api('POST /folders/{id}/move'),
  'copy-file': api('POST /files/{id}/copy'),
  'trash-file': api('POST /files/{id}/trash'),
  'trash-folder': api('POST /folders/{id}/trash'),
  'untrash-file': api('POST /files/{id}/untrash'),
  'untrash-folder': api('POST /folders/{id}/untrash'),
  'remove-file': api('DELETE /files/{id}'),
  'remove-folder': api('DELETE /folders/{id}'),
};
const operations = Object.keys(routes) as Operation[];

function routeOf(operation: Operation): Route {
  const found = routes[operation];
  if (found === undefined) throw new Error(`there is no request to ${operation}`);
  return found;
}

function operationOf(seen: { route: string; host: HostName }): Operation | undefined {
  return operations.find((name) => routes[name]?.route === seen.route && routes[name]?.host === seen.host);
}

export const sizes = { simple: MiB, chunk: MiB / 2 };

/** The sandbox as the contract sees it. */
export class FourSharedServer implements ContractServer {
  readonly clock: HurriedClock;
  readonly #clients: Provider[] = [];
  readonly #start: { readings: Readings; settings: Sandbox['settings'] };

  constructor(
    readonly sandbox: Sandbox,
    clock: HurriedClock,
    readonly sizes: { readonly simple?: number; readonly chunk?: number },
  ) {
    this.clock = clock;
    this.#start = { readings: { ...sandbox.readings }, settings: { ...sandbox.settings } };
  }

  static async open(
    options: SandboxOptions = {},
    limits: FourSharedServer['sizes'] = sizes,
  ): Promise<FourSharedServer> {
    const clock = new HurriedClock();
    const simple = limits.simple === undefined ? {} : { simpleUploadLimit: limits.simple };
    const sandbox = await startSandbox({ ...simple, now: () => clock.now(), ...options });
    return new FourSharedServer(sandbox, clock, limits);
  }

  get store(): Sandbox['store'] {
    return this.sandbox.store;
  }

  connect(settings: Partial<ProviderSettings> = {}): Provider {
    const { sandbox, sizes } = this;
    const client = createProvider(sandbox.provider, {
      endpoints: sandbox.endpoints,
      credentials: sandbox.credentials,
      clock: this.clock,
      deadlineMs: 20_000,
      stallMs: 5_000,
      chunkBytes: sizes.chunk,
      simpleUploadLimit: sizes.simple,
      ...settings,
    });
    this.#clients.push(client);
    return client;
  }

  fault: ContractServer['fault'] = (operation, action, when = {}) => {
    const { route, host } = routeOf(operation);
    const escaped = route.replace(/[{}]/g, '\\$&');
    this.sandbox.faults.add({ host, route: `^${escaped}$`, ...when, action });
  };

  requests(...wanted: Operation[]): SeenRequest[] {
    const seen = this.sandbox.log.entries().map((entry) => ({ ...entry, operation: operationOf(entry) }));
    return wanted.length === 0
      ? seen
      : seen.filter(({ operation }) => operation !== undefined && wanted.includes(operation));
  }

  forget(): void {
    this.sandbox.log.clear();
  }

  violations(): string[] {
    return this.sandbox.log.entries().flatMap(({ violation }) => violation ?? []);
  }

  limit: ContractServer['limit'] = (what, value) => {
    const { settings } = this.sandbox;
    if (what === 'quota') settings.quotaBytes = value;
    else if (what === 'file-size') settings.uploadSizeLimit = value;
    else settings.limits = { filesInFolder: value };
  };

  rateLimit(requests: number, seconds: number, retryAfter: boolean): void {
    this.sandbox.settings.rateLimit = { requests, seconds, retryAfter };
  }

  forbidWriting(path: string): void {
    this.store.setFolder(path, { userPermissions: 'read' });
  }

  async reset(): Promise<void> {
    const { sandbox, clock } = this;
    await Promise.all(this.#clients.splice(0).map((client) => client.close()));
    sandbox.faults.clear();
    await sandbox.quiet();
    sandbox.log.clear();
    Object.assign(sandbox.readings, this.#start.readings);
    Object.assign(sandbox.settings, this.#start.settings);
    clock.reset();
  }

  async close(): Promise<void> {
    await this.reset();
    await this.sandbox.close();
  }
}

const someCredentials = { consumerKey: 'k', consumerSecret: 's', token: 't', tokenSecret: 'u' };

export function fourSharedSetup(provider: '4shared' | '4sync', options: SandboxOptions = {}): ContractSetup {
  const { capabilities } = createProvider(provider, { credentials: someCredentials });
  return {
    provider,
    capabilities,
    sizes,
    badCredentials: [someCredentials],
    names: awkwardNames,
    paths: { api: '/v1_2', upload: '/v1_2' },
    costs: {
      list: ({ files, folders, countsAreFresh }) => {
        const pages = (count: number): number =>
          countsAreFresh ? Math.ceil(count / 100) : Math.floor(count / 100) + 1;
        return pages(files) + pages(folders);
      },
      // Its start, its final state, its final name.
      chunkedUpload: 3,
      // Besides: the old one looked at, put aside, looked at again, and to the trash.
      chunkedReplace: 7,
    },
    open: () => FourSharedServer.open({ ...options, provider }),
  };
}

/** The documents forbid only names of more than 255 symbols. */
export const awkwardNames: readonly string[] = [
  'Žluťoučký kůň.txt',
  '日本語のファイル.txt',
  '🐎 emoji 👩‍👩‍👧‍👦.txt',
  'nfc-\u00e9.txt',
  'nfd-e\u0301.txt',
  'a/b.txt',
  '/etc/passwd',
  '..',
  '.',
  '.hidden',
  'back\\slash.txt',
  'c:colon|pipe<less>more?star*.txt',
  `quotes'"\`().txt`,
  'a+b&c=d;e,f%20g%2Fh#i.txt',
  '  spaces  around  ',
  'tab\tand\nnewline',
  '{"json": [1]}',
  '<xml/>',
  'CON',
  'trailing.',
  'x'.repeat(255),
  '🐎'.repeat(127),
  'ř'.repeat(255),
];
