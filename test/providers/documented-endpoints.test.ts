/** Sends each row of docs/api.md to the sandbox, as `syncmount api` does, and compares the status with the table. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ApiOptions, requestOf } from '../../src/cli/commands/api.js';
import type { ApiRequest, Provider } from '../../src/providers/provider.js';
import { createProvider } from '../../src/providers/registry.js';
import { type AnySandboxOptions, type Sandbox, type SandboxOptions, startSandbox } from '../../src/sandbox/index.js';

interface Row {
  readonly endpoint: string;
  readonly words: readonly string[];
  readonly status: number;
}

const text = readFileSync('docs/api.md', 'utf8');

function rowsOf(title: string): Row[] {
  const section = text.split(`\n## ${title}\n`)[1]?.split('\n## ')[0] ?? '';
  return [...section.matchAll(/^\| `(.+?)` \| `(.+?)` \| .* \| (\d+) \|$/gm)].map(([, endpoint, made, status]) => ({
    endpoint: endpoint ?? '',
    words: (made ?? '').split(' '),
    status: Number(status),
  }));
}

/** The words of a command line as the parser has them. */
function parsed([method = '', path = '', ...rest]: readonly string[]): ApiRequest {
  const options = { field: [] as string[], header: [] as string[] };
  let hasData = false;
  for (let at = 0; at < rest.length; at += 2) {
    const value = (rest[at + 1] ?? '').replaceAll('\u00a0', ' ');
    if (rest[at] === '-f') options.field.push(value);
    else if (rest[at] === '-H') options.header.push(value);
    else if (rest[at] === '--data') hasData = true;
    else throw new Error(`${rest[at]} is no option`);
  }
  const request = requestOf(method, path, options satisfies ApiOptions);
  return hasData ? { ...request, data: { name: 'data.txt', bytes: Buffer.from('hello') } } : request;
}

async function json(provider: Provider, ...words: string[]): Promise<Record<string, unknown>> {
  return JSON.parse(await bodyOf(provider, parsed(words))) as Record<string, unknown>;
}

async function bodyOf(provider: Provider, request: ApiRequest): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of (await provider.send?.(request))?.body ?? []) parts.push(part);
  return Buffer.concat(parts).toString();
}

const user = 'tow4q9ki';
let room = 0;

/** What the placeholders of the tables stand for, fresh for each row. */
type Values = Readonly<Record<string, () => Promise<string> | string>>;

async function valuesOf({ store }: Sandbox, provider: Provider): Promise<Values> {
  const at = `/room${++room}`;
  const put = async (name: string): Promise<string> => (await store.putFile(`${at}/${name}`, 'content')).id;
  const made = (path: string): string => (store.makeFolder(path) as { id: string }).id;
  if (provider.name === '5sync') {
    const upload = async (): Promise<string> => {
      const words = ['POST', '/files/multipart/init', '-f', `filename=big${room}`, '-f', 'size=5', '-f', 'parts=1'];
      return String((await json(provider, ...words)).upload_id);
    };
    const complete = async (): Promise<string> => {
      const id = await upload();
      await bodyOf(provider, parsed(['PUT', `/files/multipart/${id}/0`, '--data', 'DATA']));
      return id;
    };
    return { file: () => put('file.txt'), upload, complete };
  }
  const folder = (): string => made(at);
  const other = (): string => made(`${at} other`);
  if (provider.name === 'acronis') {
    const node = (): Promise<string> => put('file.txt');
    const nodeId = await node();
    const link = async (): Promise<string> => {
      const route = `/sync_and_share_nodes/${nodeId}/links`;
      return String((await json(provider, 'POST', route, '-f', 'link[ttl]=7')).id);
    };
    const member = async (): Promise<string> => {
      const route = `/sync_and_share_nodes/${folder()}/members`;
      return encodeURIComponent(String((await json(provider, 'POST', route, '-f', 'member[email]=b@example.com')).id));
    };
    const owner = async (): Promise<string> => {
      const route = `/sync_and_share_nodes/${folder()}/contents`;
      const [first] = JSON.parse(await bodyOf(provider, parsed(['GET', route]))) as { owner: { uuid: string } }[];
      return first?.owner.uuid ?? '';
    };
    return { node: () => nodeId, folder, other, link, member, user: owner };
  }
  const trashed = async (): Promise<string> => {
    const id = await put('gone.txt');
    store.remove(`${at}/gone.txt`, { trash: true });
    return id;
  };
  const trashedFolder = (): string => {
    const id = made(`${at}/gone`);
    store.remove(`${at}/gone`, { trash: true });
    return id;
  };
  const upload = async (): Promise<string> => {
    const words = ['POST', '/upload', '-f', `name=big${room}`, '-f', `folderId=${folder()}`, '-f', 'size=5'];
    return String((await json(provider, ...words)).id);
  };
  return { file: () => put('file.txt'), folder, other, trashed, trashedFolder, upload, user: () => user };
}

describe.each([
  ['4shared', '4shared and 4Sync', 37],
  ['4sync', '4shared and 4Sync', 36],
  ['5sync', '5sync', 9],
  ['acronis', 'Acronis File Sync & Share', 27],
] as const)('the endpoints of %s', (service, title, count) => {
  let sandbox: Sandbox;
  let provider: Provider;
  beforeAll(async () => {
    const options = { provider: service, ...(service === '5sync' ? { requestsPerHour: 6000 } : {}) };
    sandbox = (await startSandbox(options as AnySandboxOptions as SandboxOptions)) as Sandbox;
    const { endpoints, credentials } = sandbox;
    provider = createProvider(service, { endpoints: { ...endpoints }, credentials });
  });
  afterAll(async () => {
    await provider.close();
    await sandbox.close();
  });

  // The document of 4Sync has no search of all files.
  const rows = rowsOf(title).filter(({ endpoint }) => service !== '4sync' || endpoint !== 'GET /files');
  it('all have a row', () => expect(rows).toHaveLength(count));

  it.each(rows)('$endpoint is answered with $status', async ({ words, status }) => {
    const values = await valuesOf(sandbox, provider);
    const filled: string[] = [];
    for (const word of words) {
      const names = [...word.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? '');
      let whole = word;
      for (const name of names) whole = whole.replace(`{${name}}`, (await values[name]?.()) ?? `no ${name}`);
      filled.push(whole);
    }
    const answer = await provider.send?.(parsed(filled));
    const parts: Uint8Array[] = [];
    for await (const part of answer?.body ?? []) parts.push(part);
    expect([answer?.status, `${Buffer.concat(parts)}`.slice(0, 300)]).toEqual([status, expect.anything()]);
  });
});
