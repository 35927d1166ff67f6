import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import type { AnySandboxOptions, Entry, ProviderName } from '../../../src/sandbox/index.js';
import { describeEach, protocols } from '../subjects.js';
import { cleanUpWorlds, createServiceWorld, type World } from '../world.js';

/** Names that a local directory can hold unchanged. */
const plain = [
  'é composed',
  'e\u0301 composed',
  'bell \u0007 tab \t escape \u001b[31m',
  'line\nfeed',
  '🐎👩‍👩‍👧 emoji',
  'dot.',
  'blank ',
  ' blank',
  'a:b*c?"<>|',
  'back\\slash',
  'CON',
  '-rf *',
  'a%2Fb',
  '%',
  "quote' and $(touch gone)",
  'x'.repeat(255),
  'long.jpeg'.padStart(255, 'y'),
] as const;

/** Names that a local directory cannot hold. The mount shows them under another name. */
const escaped: readonly (readonly [remote: string, local: string])[] = [
  ['c/d', 'c%2Fd'],
  ['..', '%2E%2E'],
  ['.', '%2E'],
  // 400 bytes in 200 characters, which every provider takes.
  ['ü'.repeat(200), `${'ü'.repeat(127)}~`],
];

/**
 * A program that handles names which no shell should see. It is told what to do in JSON on its command line, and answers
 * in JSON: what the directory shows, or of each act `done` or its errno.
 */
const program = `
import errno, json, os, sys
top, acts = sys.argv[1], json.loads(sys.argv[2])
at = lambda name: os.path.join(top, name)
def read(path):
    with open(path) as f: return f.read()
def write(name, text, flags):
    fd = os.open(at(name), os.O_WRONLY | flags)
    try: os.write(fd, text.encode())
    finally: os.close(fd)
work = {
    'create': lambda name, text: write(name, text, os.O_CREAT | os.O_EXCL),
    'overwrite': lambda name, text: write(name, text, os.O_TRUNC),
    'rename': lambda name, to: os.rename(at(name), at(to)),
    'mkdir': lambda name: os.mkdir(at(name)),
    'unlink': lambda name: os.unlink(at(name)),
}
def outcome(act, *told):
    try: work[act](*told)
    except OSError as e: return errno.errorcode[e.errno]
    return 'done'
def entry(name):
    path = at(name)
    return [name, os.stat(path).st_ino, read(path) if os.path.isfile(path) else None]
print(json.dumps([outcome(*act) for act in acts] if acts else [entry(name) for name in sorted(os.listdir(top))]))
`;

type Act =
  | readonly ['create' | 'overwrite' | 'rename', name: string, to: string]
  | readonly ['mkdir' | 'unlink', name: string];
type Shown = readonly [name: string, ino: number, content: string | null];

async function run(world: World, directory: string, acts: readonly Act[]): Promise<unknown> {
  await world.write('names.py', program);
  await world.write('acts.json', JSON.stringify(acts));
  return JSON.parse(await world.out(`python3 "$TOP/names.py" "$MNT/${directory}" "$(cat "$TOP/acts.json")"`));
}

async function show(world: World, directory = 'n'): Promise<Shown[]> {
  return (await run(world, directory, [])) as Shown[];
}

/** Names to inode numbers. */
async function inodes(world: World): Promise<Map<string, number>> {
  return new Map((await show(world)).map(([name, ino]) => [name, ino]));
}

/** The acts that did not end as `expected`, with what they ended in. */
async function notAs(expected: string, world: World, acts: readonly Act[], directory = 'n'): Promise<unknown[]> {
  const outcomes = (await run(world, directory, acts)) as string[];
  return acts.map((act, i) => [act, outcomes[i]]).filter(([, outcome]) => outcome !== expected);
}

interface Putting {
  putFileIn(folder: string, name: string, content: string, duplicate?: boolean): Promise<Entry>;
}

const md5 = (text: string): string => createHash('md5').update(text).digest('hex');

/** What the provider holds in `/n`: names and md5, in order. */
function held(world: World): (readonly [string, string])[] {
  const inside = world.sandbox.store.tree().filter(({ path, kind }) => path.startsWith('/n/') && kind === 'file');
  return inside.map(({ name, md5: sum }) => [name, sum] as const).sort();
}

function worldOf(provider: ProviderName): Promise<World> {
  return createServiceWorld({ provider } as AnySandboxOptions);
}

describeEach(protocols, 'names on $provider', ({ provider }, { it }) => {
  cleanUpWorlds();
  /** As another program of the service may have made it, whatever the API would take. */
  const putIn = async (world: World, name: string, content: string, duplicate = false): Promise<Entry> => {
    const { store } = world.sandbox;
    const folder = provider === '5sync' ? '/n' : (store.stat('/n') ?? store.makeFolder('/n')).id;
    return await (store as unknown as Putting).putFileIn(folder, name, content, duplicate);
  };

  it('given elsewhere are shown, read, written, renamed and removed here, the same after every remount', async () => {
    const world = await worldOf(provider);
    for (const name of plain) await putIn(world, name, `of ${name}`);
    for (const [name] of escaped) await putIn(world, name, `of ${name}`, true);
    const locals = [...plain, ...escaped.map(([, local]) => local)];
    const remotes = [...plain, ...escaped.map(([remote]) => remote)];
    await world.mount();
    const first = await show(world);
    expect(new Map(first.map(([name, , content]) => [name, content]))).toEqual(
      new Map(locals.map((local, i) => [local, `of ${remotes[i]}`])),
    );
    const before = await inodes(world);
    await world.umount();
    await world.clearCache();
    await world.mount();
    expect(await show(world)).toEqual(first);
    expect(
      await notAs(
        'done',
        world,
        plain.map((name) => ['overwrite', name, `new ${name}`]),
      ),
    ).toEqual([]);
    expect(held(world)).toEqual(
      remotes.map((name, i) => [name, md5(`${i < plain.length ? 'new' : 'of'} ${name}`)]).sort(),
    );
    expect(await inodes(world)).toEqual(before);
    expect(
      await notAs(
        'done',
        world,
        locals.map((name, i) => ['rename', name, `renamed ${i}`]),
      ),
    ).toEqual([]);
    expect(held(world)).toEqual(
      remotes.map((name, i) => [`renamed ${i}`, md5(`${i < plain.length ? 'new' : 'of'} ${name}`)]).sort(),
    );
    expect(await inodes(world)).toEqual(new Map(locals.map((name, i) => [`renamed ${i}`, before.get(name)])));
    expect(
      await notAs(
        'done',
        world,
        locals.map((_, i) => ['unlink', `renamed ${i}`]),
      ),
    ).toEqual([]);
    expect(held(world)).toEqual([]);
  });

  it('made here reach the provider as they are, for files, folders and renames', async () => {
    // An NFC and an NFD form may be one name to a service that folds letter case.
    // So may 'blank ' and ' blank'. Where it stores by name alone, the second has another name there: changed-names.test.ts.
    const names = provider === 'acronis' ? plain.slice(1).filter((name) => name !== ' blank') : plain;
    const world = await worldOf(provider);
    await world.mount();
    await world.out('mkdir n folders');
    expect(
      await notAs(
        'done',
        world,
        names.map((name) => ['create', name, name]),
      ),
    ).toEqual([]);
    expect(held(world)).toEqual(names.map((name) => [name, md5(name)]).sort());
    expect(
      await notAs(
        'done',
        world,
        names.map((name) => ['mkdir', name]),
        'folders',
      ),
    ).toEqual([]);
    const folders = await show(world, 'folders');
    const moves = names.flatMap((name): Act[] => [
      ['unlink', name],
      ['rename', 'start', name],
      ['rename', name, 'start'],
    ]);
    expect(await notAs('done', world, [['create', 'start', 'moves'], ...moves])).toEqual([]);
    expect(held(world)).toEqual([['start', md5('moves')]]);
    expect(await world.status()).toMatchObject({ pending: [], failed: [] });
    await world.umount();
    await world.mount();
    expect(await show(world, 'folders')).toEqual(folders);
  });

  it('of several objects, equal or but for letter case, are all shown, and no change goes to the wrong one', async () => {
    const world = await worldOf(provider);
    const ids = [
      await putIn(world, 'twice.txt', 'one'),
      await putIn(world, 'twice.txt', 'two', true),
      await putIn(world, 'Case', 'upper', true),
      await putIn(world, 'case', 'lower', true),
    ].map(({ id }) => id);
    const at = (): unknown[] => ids.map((id) => world.sandbox.store.byId(id)?.md5);
    await world.mount();
    const first = await show(world);
    expect(first.map(([, , content]) => content).sort()).toEqual(['lower', 'one', 'two', 'upper']);
    const [twin = '', other = ''] = first.map(([name]) => name).filter((name) => name.startsWith('twice'));
    expect([twin, other].sort()).toEqual(expect.arrayContaining(['twice.txt']));
    await world.umount();
    await world.mount();
    expect(await show(world)).toEqual(first);
    expect(
      await run(world, 'n', [
        ['overwrite', 'Case', 'UPPER'],
        ['overwrite', 'case', 'LOWER'],
      ]),
    ).toEqual(['done', 'done']);
    expect(at()).toEqual(['one', 'two', 'UPPER', 'LOWER'].map(md5));
    const content = new Map(first.map(([name, , text]) => [name, text]));
    const twins = [twin, other].sort((a) => (content.get(a) === 'one' ? -1 : 1));
    const texts = ['one changed', 'two changed'];
    const outcomes = (await run(
      world,
      'n',
      twins.map((name, i) => ['overwrite', name, texts[i] ?? '']),
    )) as string[];
    // A service that stores by name may refuse, or not be able to tell which of the two is meant: then neither is touched.
    expect(outcomes.filter((outcome) => outcome !== 'done' && outcome !== 'EEXIST')).toEqual([]);
    expect(at().slice(0, 2)).toEqual(
      ['one', 'two'].map((text, i) => md5(outcomes[i] === 'done' ? `${text} changed` : text)),
    );
    const now = new Map((await show(world)).map(([name, , text]) => [name, text]));
    expect(twins.map((name) => now.get(name))).toEqual(texts);
    expect(await run(world, 'n', [['rename', other, 'apart.txt']])).toEqual(['done']);
    await world.out('$SYNCMOUNT uploads retry "$MNT"');
    await expect.poll(() => world.status()).toMatchObject({ pending: [], failed: [] });
    expect(new Set(held(world).map(([name]) => name))).toEqual(new Set(['twice.txt', 'apart.txt', 'Case', 'case']));
    expect(new Set(held(world).map(([, sum]) => sum))).toEqual(
      new Set(['one changed', 'two changed', 'UPPER', 'LOWER'].map(md5)),
    );
  });

  it('that the service refuses are answered at once, and leave nothing but what was written', async () => {
    const world = await worldOf(provider);
    // The services whose clients store by name refuse a name with a slash by themselves.
    const [remote, local] = provider === '4shared' ? ['given', 'given'] : ['c/d', 'c%2Fd'];
    await putIn(world, remote, 'old', true);
    await world.mount();
    const long = 'x'.repeat(256);
    expect(
      await run(world, 'n', [
        ['create', long, ''],
        ['mkdir', long],
        ['rename', local, long],
      ]),
    ).toEqual(Array(3).fill('ENAMETOOLONG'));
    const refusal = { kind: 'status', status: 403, code: '403.0228' } as const;
    if (provider === '4shared')
      for (const method of ['POST', 'PUT']) world.sandbox.faults.add({ method, action: refusal });
    expect(await run(world, 'n', [['overwrite', local, 'new']])).toEqual(['EINVAL']);
    if (provider === '4shared')
      expect(
        await run(world, 'n', [
          ['mkdir', 'other'],
          ['rename', local, 'other'],
        ]),
      ).toEqual(['EINVAL', 'EINVAL']);
    expect(held(world)).toEqual([[remote, md5('old')]]);
    expect((await show(world)).map(([name, , content]) => [name, content])).toEqual([[local, 'new']]);
    expect((await world.status()).failed).toMatchObject([{ path: `/n/${local}`, code: 'EINVAL' }]);
    // What was written waits for a name that is taken.
    world.sandbox.faults.clear();
    expect(await run(world, 'n', [['rename', local, 'fine']])).toEqual(['done']);
    await world.out('$SYNCMOUNT uploads retry "$MNT"');
    await expect.poll(() => world.status()).toMatchObject({ pending: [], failed: [] });
    expect(held(world)).toEqual([['fine', md5('new')]]);
  });
});
