/** The files of the store: what is written can be read, and what is damaged costs as little as it can. */
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isSameState, lineOf, type MetadataEntry, parseEntry } from '../../src/metadata/entry.js';
import { bindingOf, describesContent } from '../../src/metadata/merge.js';
import { decodePack, encodePack, packName, parsePackName } from '../../src/metadata/pack-file.js';

const machine = '0123456789abcdef';

const base64 = fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes).toString('base64'));
const time = fc.tuple(fc.integer({ min: -(2 ** 40), max: 2 ** 40 }), fc.integer({ min: 0, max: 999_999_999 }));
const text = fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme' });
const whole = fc.nat();
const entries: fc.Arbitrary<MetadataEntry> = fc.record(
  {
    folder: text,
    name: text,
    kind: fc.constantFrom('file', 'directory', 'symlink', 'fifo', 'socket', 'character', 'block'),
    clock: fc.tuple(whole, whole),
    gone: fc.constant(true as const),
    id: text,
    size: whole,
    md5: fc.constant('d41d8cd98f00b204e9800998ecf8427e'),
    modified: whole,
    mode: fc.integer({ min: 0, max: 0o7777 }).map((mode) => mode.toString(8)),
    uid: whole,
    gid: whole,
    atime: time,
    mtime: time,
    ctime: time,
    xattrs: fc.dictionary(text, base64, { maxKeys: 3 }),
    target: text,
    targetBase64: base64,
    rdev: fc.tuple(whole, whole),
    link: text,
    alias: fc.constant(true as const),
    laterField: fc.jsonValue(),
  },
  { requiredKeys: ['folder', 'name', 'kind', 'clock'] },
) as fc.Arbitrary<MetadataEntry>;

describe('an entry', () => {
  it('is the same after it was written and read, with fields that this version does not know', () => {
    fc.assert(
      fc.property(entries, (entry) => {
        // -0 is 0 in JSON.
        const expected = JSON.parse(JSON.stringify(entry));
        expect(parseEntry(lineOf(entry))).toEqual(expected);
        expect(lineOf(entry)).not.toContain('\n');
      }),
    );
  });

  it('has one line, whatever the order of its fields', () => {
    fc.assert(
      fc.property(entries, (entry) => {
        const turned = Object.fromEntries(Object.entries(entry).reverse()) as MetadataEntry;
        expect(lineOf(turned)).toBe(lineOf(entry));
        expect(isSameState(entry, { ...turned, clock: [5, 6] })).toBe(true);
      }),
    );
  });

  const sound = { folder: 'f', name: 'n', kind: 'file', clock: [1, 2] };
  it.each([
    ['no JSON', '{"folder":'],
    ['no object', '3'],
    ['without a name', JSON.stringify({ ...sound, name: undefined })],
    ['of an unknown kind', JSON.stringify({ ...sound, kind: 'door' })],
    ['without a clock', JSON.stringify({ ...sound, clock: undefined })],
    ['with a clock before 1970', JSON.stringify({ ...sound, clock: [-1, 0] })],
    ['with a clock that no number can follow', JSON.stringify({ ...sound, clock: [2 ** 54, 0] })],
    ['with 10^9 nanoseconds', JSON.stringify({ ...sound, mtime: [0, 1_000_000_000] })],
    ['with a mode that is not octal', JSON.stringify({ ...sound, mode: '0888' })],
    ['with a mode beyond its 12 bits', JSON.stringify({ ...sound, mode: '100644' })],
    ['with an owner that means none', JSON.stringify({ ...sound, uid: 0xffffffff })],
    ['with an attribute that is no base64', JSON.stringify({ ...sound, xattrs: { 'user.a': '$' } })],
  ])('%s is none', (_, line) => {
    expect(parseEntry(JSON.stringify(sound))).not.toBeNull();
    expect(parseEntry(line)).toBeNull();
  });

  const file = { id: '1', size: 3, modified: 5000, md5: 'AB' };
  it.each([
    ['the same md5, at another time', { ...file, modified: 6000 }, true],
    ['another md5 of the same size', { ...file, md5: 'cd' }, false],
    ['another size', { ...file, size: 4 }, false],
    ['no md5 by now, and the same time', { ...file, md5: null }, false],
  ])('describes a file with %s: %s', (_, now, expected) => {
    expect(describesContent({ ...sound, ...bindingOf(file) } as MetadataEntry, now)).toBe(expected);
  });

  it('describes a file without an md5 by size and time', () => {
    const bound = { ...sound, ...bindingOf({ ...file, md5: null }) } as MetadataEntry;
    expect(describesContent(bound, { ...file, md5: null })).toBe(true);
    expect(describesContent(bound, { ...file, md5: null, modified: 5001 })).toBe(false);
  });
});

describe('a file of the store', () => {
  const entry = parseEntry('{"folder":"f","name":"n","kind":"file","clock":[1,2],"mode":"0600"}') as MetadataEntry;

  it('is gzip, a header and a line of JSON each', async () => {
    const bytes = await encodePack({ machine, pack: 3 }, [lineOf(entry), lineOf({ ...entry, name: 'ü' })]);
    expect(gunzipSync(bytes).toString()).toBe(
      [
        `{"format":"syncmount-metadata","version":1,"machine":"${machine}","pack":3}`,
        '{"folder":"f","name":"n","kind":"file","clock":[1,2],"mode":"0600"}',
        '{"folder":"f","name":"ü","kind":"file","clock":[1,2],"mode":"0600"}',
        '',
      ].join('\n'),
    );
    const { header, entries: read, bad } = await decodePack(bytes);
    expect([header.machine, header.pack, read.length, bad]).toEqual([machine, 3, 2, 0]);
  });

  it('is read but for its bad lines', async () => {
    const bytes = await encodePack({ machine, pack: 0 }, [lineOf(entry), '{"half', lineOf({ ...entry, name: 'b' })]);
    expect(await decodePack(bytes)).toMatchObject({
      entries: [{ entry: { name: 'n' } }, { entry: { name: 'b' } }],
      bad: 1,
    });
  });

  it.each([
    ['cut short', async () => (await encodePack({ machine, pack: 1 }, [lineOf(entry)])).subarray(0, 40), 'integrity'],
    ['empty', async () => new Uint8Array(), 'integrity'],
    ['of another program', async () => gzipSync('{"format":"zip"}\n'), 'integrity'],
    ['no JSON', async () => gzipSync('hello'), 'integrity'],
    [
      'of a later format',
      async () => gzipSync(`{"format":"syncmount-metadata","version":2,"machine":"${machine}","pack":0}\n`),
      'unsupported',
    ],
    ['a bomb', async () => gzipSync(Buffer.alloc(65 * 1024 * 1024)), 'integrity'],
  ])('that is %s is refused', async (_, make, code) => {
    await expect(decodePack(await make())).rejects.toMatchObject({ code });
  });

  it('has a name that tells whose it is', () => {
    expect(packName(machine, 0)).toBe('0123456789abcdef.index.jsonl.gz');
    for (const pack of [0, 1, 99]) expect(parsePackName(packName(machine, pack))).toEqual({ machine, pack });
    for (const name of [
      '',
      'index.jsonl.gz',
      `${machine}.0.jsonl.gz`,
      `${machine}.1.jsonl`,
      `x${packName(machine, 1)}`,
    ])
      expect(parsePackName(name)).toBeNull();
  });
});
