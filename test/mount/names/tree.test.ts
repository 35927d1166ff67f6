// @module-tag long
import { describe, expect, it } from 'vitest';
import { isComplete } from '../../support/extent.js';
import { cleanUpWorlds, createWorld, type World } from '../world.js';

/** Real folders of this machine: text, code, compiled and compressed files, deep paths, long names. */
const sources = [
  '/usr/lib/python3.11',
  '/usr/lib/python3.12',
  '/usr/lib/python3.13',
  '/usr/lib/python3',
  '/usr/share/doc',
];
/** So many files of them: more of the same tells nothing new. */
const ENOUGH_FILES = isComplete ? 4500 : 300;
/** What 4shared takes in one request, where that is not what its document says. */
const limit = isComplete ? {} : { simpleUploadLimit: 20 * 1024 * 1024 };
/** More than that. */
const LARGE = (isComplete ? 200 : 40) * 1024 * 1024;
/** At least this much of it, whatever the machine has installed. */
const LEAST_FILES = isComplete ? 2000 : 500;
const LEAST_BYTES = isComplete ? 300 * 1000 * 1000 : LARGE;

describe('a real tree', () => {
  cleanUpWorlds();

  it('comes back as it was: copied in, compared, remounted with an empty cache, copied out, checked at the server', async () => {
    const world = await createWorld(limit);
    await makeSource(world);
    await world.mount();

    await world.out('cp -r "$TOP/source" .');
    await world.out('diff -r "$TOP/source" source');
    const inodes = await world.out('find . -printf "%i %p\\n" | sort | md5sum');
    const { pending, failed } = await world.status();
    expect([pending, failed]).toEqual([[], []]);
    await world.umount();
    await world.clearCache();
    await world.mount();

    // The answer comes from the table: every request up to now was the mount's own, or is made in the background.
    const asked = world.sandbox.log.entries().at(-1)?.n ?? 0;
    let found = '';
    const requests = await world.requestsOf(async () => {
      world.sandbox.settings.latencyMs = 20_000;
      found = await world.out('find . -printf "%i %p\\n" | sort | md5sum');
    });
    world.sandbox.settings.latencyMs = 0;
    expect(found).toBe(inodes);
    expect(requests.filter(({ n, status }) => n > asked && status !== 0 && status < 300)).toEqual([]);

    await world.out('cp -r source "$TOP/copy" && diff -r "$TOP/source" "$TOP/copy"');
    const local = await world.out('cd "$TOP" && find source -type f -exec md5sum {} +');
    const here = new Map(local.split('\n').map((line) => [`/${line.slice(34)}`, line.slice(0, 32)]));
    expect(here.size).toBeGreaterThanOrEqual(LEAST_FILES);
    expect(sorted(world.storedMd5s())).toEqual(sorted(here));
    await world.umount();
  }, 600_000);
});

/** Links are followed and what cannot be read is left out: the tree is made of plain files and folders. */
async function makeSource(world: World): Promise<void> {
  await world.out(`
    mkdir "$TOP/source"
    { find -L ${sources.join(' ')} -type f 2>/dev/null || true; } | head -n ${ENOUGH_FILES} > "$TOP/taken"
    rsync -rL --files-from="$TOP/taken" / "$TOP/source/" 2>/dev/null || true
    head -c ${LARGE} /dev/urandom > "$TOP/source/large.bin"
    : > "$TOP/source/empty"
    i=0
    while [ "$(find "$TOP/source" -type f | wc -l)" -lt ${LEAST_FILES} ]; do
      i=$((i + 1)); mkdir -p "$TOP/source/more/$i"
      for n in $(seq 200); do echo "$i $n" > "$TOP/source/more/$i/$n"; done
    done
    bytes=$(du -sb "$TOP/source" | cut -f1)
    [ "$bytes" -ge ${LEAST_BYTES} ] || head -c $((${LEAST_BYTES} - bytes)) /dev/urandom > "$TOP/source/filler.bin"
  `);
}

function sorted(map: ReadonlyMap<string, string>): [string, string][] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1));
}
