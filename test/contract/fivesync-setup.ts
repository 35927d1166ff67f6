/** The contract's world for 5sync: the sandbox, and the names of its requests. */
import { createProvider } from '../../src/providers/registry.js';
import {
  type Content,
  type Entry,
  type FiveSyncOptions,
  type FiveSyncSandbox,
  startSandbox,
} from '../../src/sandbox/index.js';
import { type ContractSetup, HurriedClock, type OtherClient } from './bench.js';
import { awkwardNames } from './fourshared-setup.js';
import { type ServiceRoutes, ServiceServer } from './service-server.js';

const MiB = 1024 * 1024;
export const fiveSyncSizes = { simple: MiB, chunk: MiB / 2 };

/** The list also checks credentials. One PUT stores new files and new versions. */
const routes: ServiceRoutes = {
  'list-files': { route: 'GET /files' },
  account: { route: 'GET /files' },
  'stat-file': { route: 'GET /files/{id}' },
  changes: { route: 'GET /changes' },
  download: { route: 'GET /files/{id}?download' },
  upload: { route: 'PUT /files' },
  replace: { route: 'PUT /files' },
  'upload-start': { route: 'POST /files/multipart/init' },
  'upload-chunk': { route: 'PUT /files/multipart/{upload_id}/{part}' },
  'upload-complete': { route: 'POST /files/multipart/{upload_id}/complete' },
  'remove-file': { route: 'DELETE /files/{id}' },
  'remove-folder': { route: 'DELETE /files/{id}' },
};

/** Longer than the time between two polls of the largest plan, ms. */
const onePoll = 30_000;

/** A folder is a path here. The next poll, which is due at once, shows another client's changes. */
class OtherFiveSyncClient implements OtherClient {
  readonly rootId = '/';

  constructor(
    readonly sandbox: FiveSyncSandbox,
    readonly clock: HurriedClock,
  ) {}

  async putFile(path: string, content: Content, options: { modified?: number } = {}): Promise<Entry> {
    const entry = await this.sandbox.store.putFile(path, content, options);
    this.clock.jump(onePoll);
    return entry;
  }

  async putFileIn(folderId: string, name: string, content: Content, duplicate = false): Promise<Entry> {
    const entry = await this.sandbox.store.putFileIn(folderId, name, content, duplicate);
    this.clock.jump(onePoll);
    return entry;
  }

  /** The place for files that it will be. */
  makeFolder(path: string): Entry {
    const name = path.split('/').at(-1) ?? '';
    return { path, kind: 'folder', id: path, name, size: 0, md5: '', modified: 0, status: 'normal' };
  }

  rename(path: string, name: string): Entry {
    const entry = this.sandbox.store.rename(path, name);
    this.clock.jump(onePoll);
    return entry;
  }

  remove(path: string): void {
    this.sandbox.store.remove(path);
    this.clock.jump(onePoll);
  }

  readFile(path: string): Promise<Buffer> {
    return this.sandbox.store.readFile(path);
  }

  stat(path: string): Entry | undefined {
    return this.sandbox.store.stat(path);
  }

  byId(id: string): Entry | undefined {
    return this.sandbox.store.byId(id);
  }

  list(path?: string): Entry[] {
    const isThere = path === undefined || this.sandbox.store.stat(path) !== undefined;
    return isThere ? this.sandbox.store.list(path).map(withId) : [];
  }

  tree(): Entry[] {
    return this.sandbox.store.tree().map(withId);
  }

  trash(): Entry[] {
    return [];
  }
}

const withId = (entry: Entry): Entry => (entry.kind === 'folder' ? { ...entry, id: entry.path } : entry);

export class FiveSyncServer extends ServiceServer<FiveSyncSandbox> {
  readonly store: OtherClient;

  constructor(sandbox: FiveSyncSandbox, clock: HurriedClock) {
    super(sandbox, clock, '5sync', routes, {
      simpleUploadLimit: fiveSyncSizes.simple,
      chunkBytes: fiveSyncSizes.chunk,
    });
    this.store = new OtherFiveSyncClient(sandbox, clock);
  }

  static async open(options: Partial<FiveSyncOptions> = {}): Promise<FiveSyncServer> {
    const clock = new HurriedClock();
    const { simple, chunk } = fiveSyncSizes;
    const sandbox = await startSandbox({
      ...{ simpleUploadLimit: simple, chunkSize: chunk, now: () => clock.now() },
      ...options,
      provider: '5sync',
    });
    return new FiveSyncServer(sandbox, clock);
  }

  credentials(): unknown {
    return this.sandbox.credentials;
  }

  override rateLimit(requests: number, seconds: number, retryAfter: boolean): void {
    this.sandbox.rate.reset();
    Object.assign(this.sandbox.settings, { requestsPerHour: requests, windowSeconds: seconds });
    this.sandbox.readings.retryAfter = retryAfter;
  }

  protected empty(): void {
    const { store, rate } = this.sandbox;
    for (const file of [...store.files.byId.values()]) store.files.remove(file);
    rate.reset();
  }
}

export function fiveSyncSetup(): ContractSetup {
  const wrong = { apiKey: 'sk_5s_nobody' };
  const { capabilities } = createProvider('5sync', { credentials: wrong });
  return {
    provider: '5sync',
    capabilities,
    sizes: fiveSyncSizes,
    badCredentials: [wrong, { apiKey: 'not-even-a-key' }],
    names: awkwardNames.filter((name) => !name.includes('/') && !/^\.{1,2}$/.test(name)),
    paths: { api: '/v1' },
    same: { replace: 'upload', account: 'list-files' },
    // What was stored, and where, is looked up: an upload's answer tells neither.
    lookups: ['list-files', 'stat-file', 'changes'],
    costs: {
      // The first list of a client reads the whole account; the next ones are a poll at most.
      list: () => 5,
      chunkedUpload: 10,
      probes: 1,
      upload: 2,
      chunkedReplace: 12,
    },
    skips: [
      {
        test: /createFolder|a folder that is gone|into a folder that is gone/,
        reason: 'a folder that no file implies cannot be told from an empty one, and a PUT to a gone id makes a file',
      },
      { test: /^list and stat > a folder of \d+ files/, reason: 'folders are implied: see the readings' },
      {
        test: /a folder is removed for ever, with all|freed can be taken again/,
        reason: 'a folder is its files: each of them is a request, and none is there without',
      },
      { test: /large (file|new version) \((rename|trash)-file\)/, reason: 'the upload needs no such request' },
      {
        test: /new large file is stored once after a crash at every checkpoint, [12]/,
        reason: 'without a checksum, a file of this name is not known to be ours unless the checkpoint has all parts',
      },
      {
        test: /comes too often without Retry-After/,
        reason: 'every answer tells when the window resets: there are no pauses to guess',
      },
      { test: /stores wrongly/, reason: 'the service tells no checksum: only a wrong size shows' },
      { test: /without space is quota|the same limits hold/, reason: 'the document names no such limits' },
      {
        test: /two large files of one name at once/,
        reason: 'no call stores a file only where the name is free: the later one is a new version',
      },
    ],
    open: () => FiveSyncServer.open(),
  };
}
