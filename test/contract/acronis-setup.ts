/** The contract's world for Acronis File Sync & Share: the sandbox, and the names of its requests. */
import { createProvider } from '../../src/providers/registry.js';
import { type AcronisOptions, type AcronisSandbox, startSandbox } from '../../src/sandbox/index.js';
import { type ContractSetup, HurriedClock, type OtherClient } from './bench.js';
import { awkwardNames } from './fourshared-setup.js';
import { type ServiceRoutes, ServiceServer } from './service-server.js';

const MiB = 1024 * 1024;
/** There are no parts: every size goes in one request. */
export const acronisSizes = { simple: MiB, chunk: MiB / 2 };

const contents = 'GET /sync_and_share_nodes/{node_uuid}/contents';
const node = '/sync_and_share_nodes/{node_uuid}';
const removal = { route: `DELETE ${node}` };

/** The list of the root checks credentials. A node is looked up in the list of its folder. */
const routes: ServiceRoutes = {
  account: { route: contents, url: /sync_and_share_nodes\/0\/contents/ },
  user: { route: 'GET /users/{user_uuid}' },
  token: { route: 'POST /api/2/idp/token' },
  'list-files': { route: contents, url: /sync_and_share_nodes\/[^/]{2,}\/contents/ },
  'stat-file': { route: contents },
  download: { route: `GET ${node}/download` },
  'create-folder': { route: 'POST /sync_and_share_nodes' },
  upload: { route: `POST ${node}/upload` },
  replace: { route: `POST ${node}/upload` },
  'rename-file': { route: `PUT ${node}` },
  'rename-folder': { route: `PUT ${node}` },
  'move-file': { route: `POST ${node}/move` },
  'move-folder': { route: `POST ${node}/move` },
  'copy-file': { route: `POST ${node}/copy` },
  'remove-file': removal,
  'remove-folder': removal,
};

export class AcronisServer extends ServiceServer<AcronisSandbox> {
  constructor(sandbox: AcronisSandbox, clock: HurriedClock) {
    super(sandbox, clock, 'acronis', routes, {});
  }

  static async open(options: Partial<AcronisOptions> = {}): Promise<AcronisServer> {
    const clock = new HurriedClock();
    const sandbox = await startSandbox({ now: () => clock.now(), ...options, provider: 'acronis' });
    return new AcronisServer(sandbox, clock);
  }

  get store(): OtherClient {
    return this.sandbox.store;
  }

  /** Logged in, as after `login`. */
  credentials(): unknown {
    const { credentials, tokens } = this.sandbox;
    const { accessToken, refreshToken, expiresIn } = tokens.grant(credentials.clientId);
    const expiresAt = new Date(this.clock.now() + expiresIn * 1000).toISOString();
    return { ...credentials, accessToken, ...(refreshToken === undefined ? {} : { refreshToken }), expiresAt };
  }

  override forbidWriting(path: string): void {
    this.sandbox.store.setNode(path, { readOnly: true });
  }

  protected empty(): void {
    const { nodes, actions } = this.sandbox.store;
    for (const child of [...nodes.children(nodes.root.id)]) actions.remove(child);
  }
}

export function acronisSetup(): ContractSetup {
  const wrong = { accessToken: 'bm9ib2R5J3MgdG9rZW4=' };
  const { capabilities } = createProvider('acronis', { credentials: wrong });
  return {
    provider: 'acronis',
    capabilities,
    sizes: acronisSizes,
    badCredentials: [wrong, { username: 'nobody@example.com', password: 'wrong' }],
    names: awkwardNames.filter((name) => !name.includes('/') && !/^\.{1,2}$/.test(name)),
    paths: { api: '/fc/api/v1', token: '/api/2/idp/token' },
    same: {
      replace: 'upload',
      'rename-folder': 'rename-file',
      'move-folder': 'move-file',
      'remove-folder': 'remove-file',
    },
    // There is no call for one node. Lists show whether a name is free, and whether a request had its effect.
    lookups: ['account', 'user', 'list-files', 'token'],
    movesInSteps: true,
    costs: {
      list: ({ files, folders }) => Math.max(1, Math.ceil((files + folders) / 100)),
      chunkedUpload: 0,
      chunkedReplace: 0,
    },
    tellsCounts: false,
    skips: [
      {
        test: /a file is copied in one request|a copy to a name that is taken/,
        reason: 'a copy keeps its name and goes to another folder: see the tests of this service alone',
      },
      {
        test: /over a file that is gone/,
        reason: 'an upload names its folder and name: over a file that is gone it makes a new one',
      },
      { test: /without space is quota/, reason: 'the document names no limits of file sizes and counts' },
      { test: /a real rate limit/, reason: 'the document names no limit of requests' },
    ],
    open: () => AcronisServer.open(),
  };
}
