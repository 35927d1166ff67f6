/** Random programs of system calls, for compare.py. */
import fc from 'fast-check';

/** The name of a method of compare.py's `Actor`, and its arguments. */
export type Step = readonly [name: string, ...told: readonly unknown[]];

/** The participants in a program besides its own calls. */
export interface Cast {
  /** Another client of the account: none, one that removes, or one that also moves. */
  readonly others: 'none' | 'remove' | 'move';
  /** The most acts of that client in one program. */
  readonly mostActs: number;
  /** Names of files and directories: few, so that the calls often hit the same ones. */
  readonly names?: readonly string[];
  /** Now and then a file has this many bytes. */
  readonly largest?: number;
}

/** The most steps after those with which every program begins. */
const MOST_STEPS = 60;
const plainNames = ['a', 'b', 'c', 'ü'];
const tooLong = 'n'.repeat(256);
const pathsOf = (names: readonly string[]): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom(...names) },
    {
      weight: 5,
      arbitrary: fc.tuple(fc.constantFrom('a', 'b'), fc.constantFrom(...names)).map((parts) => parts.join('/')),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(fc.constantFrom('a', 'b'), fc.constantFrom('a', 'b'), fc.constantFrom(...names))
        .map((parts) => parts.join('/')),
    },
    { weight: 1, arbitrary: fc.constantFrom('', tooLong, `a/${tooLong}`, 'a/../b', 'a/.', 'b/..', 'a/') },
  );
/** Targets of symbolic links, which may exist or not. None leads out of the program's directory. */
const targetsOf = (names: readonly string[]): fc.Arbitrary<string> =>
  fc.oneof(fc.constantFrom(...names, 'a/b', 'b/c', './a'), fc.constantFrom('none', 'x'.repeat(300)));
const attribute = fc.constantFrom('user.one', 'user.two');
const slot = fc.nat(2);
/** Mostly not at page boundaries, and now and then beyond a block of the cache. */
const size = fc.oneof(
  { weight: 6, arbitrary: fc.nat(300) },
  { weight: 2, arbitrary: fc.nat(10_000) },
  { weight: 1, arbitrary: fc.nat(140_000) },
);
const fill = fc.nat(255);
const mode = fc.constantFrom(0o600, 0o644, 0o755, 0o400, 0o777, 0o4755, 0o1777);
/** Times long ago, in ns, so that compare.py can tell them from now. A double holds these numbers exactly. */
const time = fc.nat(1_400_000).map((seconds) => seconds * 1_000_000_000_000 + 123_456_768);
const access = fc.constantFrom('O_RDONLY', 'O_WRONLY', 'O_RDWR');
const flags = fc
  .tuple(
    fc.constantFrom('O_RDONLY', 'O_WRONLY', 'O_RDWR', 'O_RDWR'),
    fc.subarray(['O_CREAT', 'O_EXCL', 'O_TRUNC', 'O_APPEND', 'O_DIRECTORY']),
  )
  // POSIX leaves open what these two flags do together, and what O_TRUNC does with O_RDONLY.
  .filter(
    ([access, more]) =>
      !(more.includes('O_DIRECTORY') && more.includes('O_CREAT')) &&
      !(access === 'O_RDONLY' && more.includes('O_TRUNC')),
  )
  .map(([access, more]) => [access, ...more]);

const step = <T extends unknown[]>(
  weight: number,
  name: string,
  ...told: { [K in keyof T]: fc.Arbitrary<T[K]> }
): { weight: number; arbitrary: fc.Arbitrary<Step> } => ({
  weight,
  arbitrary: fc.tuple<unknown[]>(...told).map((values): Step => [name, ...values]),
});

function callsOf({ names = plainNames, largest = 0 }: Cast): { weight: number; arbitrary: fc.Arbitrary<Step> }[] {
  const [paths, targets] = [pathsOf(names), targetsOf(names)];
  return [
    step(8, 'open', slot, paths, flags),
    step(3, 'close', slot),
    step(4, 'pwrite', slot, size, size, fill),
    step(3, 'write', slot, size, fill),
    step(3, 'pread', slot, size, size),
    step(2, 'read', slot, size),
    step(1, 'lseek', slot, size, fc.constantFrom('SEEK_SET', 'SEEK_END', 'SEEK_CUR')),
    step(3, 'ftruncate', slot, size),
    step(1, 'fsync', slot),
    step(3, 'fstat', slot),
    step(1, 'fchmod', slot, mode),
    step(1, 'futimes', slot, time),
    step(1, 'copy_range', slot, slot, size, size),
    step(2, 'map_write', slot, size, size, fill),
    step(2, 'flock', slot, fc.boolean()),
    step(1, 'unlock', slot),
    step(2, 'lock', slot, fc.boolean()),
    step(4, 'lock_elsewhere', paths, access, fc.constantFrom('flock', 'posix'), fc.boolean()),
    step(7, 'create', paths, size, fill),
    ...(largest > 0 ? [step(1, 'create', paths, fc.constant(largest), fill)] : []),
    step(3, 'append', paths, size, fill),
    step(2, 'save', paths, size, fill),
    step(3, 'copy', paths, paths),
    step(3, 'cat', paths),
    step(3, 'truncate', paths, size),
    step(4, 'stat', paths),
    step(2, 'chmod', paths, mode),
    step(3, 'utimes', paths, time),
    step(3, 'readdir', paths),
    step(7, 'mkdir', paths),
    step(3, 'rmdir', paths),
    step(5, 'unlink', paths),
    step(8, 'rename', paths, paths),
    step(1, 'rename_noreplace', paths, paths),
    step(4, 'symlink', targets, paths),
    step(2, 'readlink', paths),
    step(2, 'socket', paths),
    step(6, 'link', paths, paths),
    step(2, 'pipe', paths),
    step(3, 'set_attribute', paths, attribute, fc.nat(300), fill),
    step(1, 'get_attribute', paths, attribute),
    step(1, 'remove_attribute', paths, attribute),
    step(1, 'list_attributes', paths),
  ];
}

/** Acts on a file during its upload: they take away its name or its folder's name, or overwrite it. */
const acts = (path: string, paths: fc.Arbitrary<string>): fc.Arbitrary<Step> => {
  const constant = fc.constant(path);
  return fc.oneof(
    step(4, 'unlink', constant),
    step(4, 'rename', constant, paths),
    step(3, 'rename', paths, constant),
    step(2, 'save', constant, size, fill),
    step(1, 'create', constant, size, fill),
    step(2, 'rename', fc.constant(path.split('/')[0]), paths),
    step(1, 'stat', constant),
  );
};
/** The delay: which request of the upload, before or after the service acts, and whether the service acts even without a client. */
const delay = fc.tuple(fc.integer({ min: 1, max: 2 }), fc.constantFrom('before', 'after'), fc.boolean());
const duringUpload = (paths: fc.Arbitrary<string>): { weight: number; arbitrary: fc.Arbitrary<Step> } => ({
  weight: 10,
  arbitrary: paths.chain((path) =>
    fc.tuple(fc.constant(path), size, fill, delay, acts(path, paths)).map((told): Step => ['during_upload', ...told]),
  ),
});

/** Names that every client can use. */
const plain = fc.oneof(
  fc.constantFrom(...plainNames),
  fc.tuple(fc.constantFrom('a', 'b'), fc.constantFrom(...plainNames)).map((parts) => parts.join('/')),
  fc.constantFrom('a/b/a', 'a/b/c', 'b/a/ü'),
);
/** The paths on which another client acts: mostly those with which programs begin, and which they have open. */
const stored = fc.oneof(fc.constantFrom('c', 'a/a', 'b/c', 'a', 'a/b'), plain);
const elsewhere = (others: Cast['others']): { weight: number; arbitrary: fc.Arbitrary<Step> }[] => [
  ...(others === 'none' ? [] : [step(12, 'elsewhere', fc.constant('remove'), stored, fc.constant(''))]),
  ...(others === 'move' ? [step(36, 'elsewhere', fc.constant('move'), stored, plain)] : []),
];

/** The first steps of each program. In an empty directory most calls would fail. */
const furnished: readonly Step[] = [
  ['mkdir', 'a'],
  ['mkdir', 'b'],
  ['mkdir', 'a/b'],
  ['create', 'a/a', 100, 1],
  ['create', 'a/ü', 0, 1],
  ['create', 'b/c', 5000, 2],
  ['create', 'c', 70_000, 3],
  ['open', 0, 'c', ['O_RDWR']],
  ['open', 1, 'a/a', ['O_RDWR', 'O_APPEND']],
];

export function programs(cast: Cast): fc.Arbitrary<readonly Step[]> {
  const { others, mostActs, names = plainNames } = cast;
  return fc
    .array(fc.oneof(...callsOf(cast), duringUpload(pathsOf(names)), ...elsewhere(others)), {
      minLength: 1,
      maxLength: MOST_STEPS,
      size: 'max',
    })
    .map((chosen) => {
      let left = mostActs;
      return [...furnished, ...chosen.filter(([name]) => name !== 'elsewhere' || left-- > 0)];
    });
}
