/** Two builds of packages in one checkout, at the same time: scripts/packaging/parts.mjs, with a registry of this test. */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';

let top: string;

function program(name: string, text: string): void {
  mkdirSync(join(top, 'bin'), { recursive: true });
  writeFileSync(join(top, 'bin', name), `#!/bin/sh\n${text}\n`);
  chmodSync(join(top, 'bin', name), 0o755);
}
/** Of a script: waits for a file in `top`. */
const wait = (file: string): string => `until [ -e "$TOP/${file}" ]; do sleep 0.01; done`;

beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), 'syncmount-parts-'));
  mkdirSync(join(top, 'scripts/packaging'), { recursive: true });
  cpSync('scripts/packaging/parts.mjs', join(top, 'scripts/packaging/parts.mjs'));
  mkdirSync(join(top, 'package'));
  writeFileSync(join(top, 'package/file'), 'the part');
  execFileSync('tar', ['-czf', join(top, 'registry.tgz'), '-C', top, 'package']);
  const integrity = `sha512-${createHash('sha512')
    .update(readFileSync(join(top, 'registry.tgz')))
    .digest('base64')}`;
  const parts = { part: { version: '1.2.3', integrity } };
  writeFileSync(join(top, 'scripts/packaging/parts.json'), JSON.stringify(parts));
});
afterEach(() => rmSync(top, { recursive: true, force: true }));

/** A build that asks for the part, and answers how it ended. */
async function build(name: string): Promise<number> {
  const code = `import { unpackPart } from ${JSON.stringify(join(top, 'scripts/packaging/parts.mjs'))}; unpackPart('part', ${JSON.stringify(join(top, name))})`;
  const env = { ...process.env, PATH: `${join(top, 'bin')}:${process.env.PATH}`, BUILD: name, TOP: top };
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { env, stdio: 'ignore' });
  const [status] = await once(child, 'exit');
  return status;
}

it('a part that arrives for one build is no half part for another', async () => {
  // The late build asks npm before the early one has the part, and npm writes half of it when the early one is about to unpack.
  program(
    'npm',
    `archive="$4/part-1.2.3.tgz"
    touch "$TOP/$BUILD-asks"
    if [ "$BUILD" = early ]; then ${wait('late-asks')}; else
      ${wait('early-unpacks')}
      head -c 20 "$TOP/registry.tgz" > "$archive"
      touch "$TOP/half"
      ${wait('early-ended')}
    fi
    cp "$TOP/registry.tgz" "$archive"`,
  );
  const tar = execFileSync('sh', ['-c', 'command -v tar'], { encoding: 'utf8' }).trim();
  program(
    'tar',
    `if [ "$BUILD" = early ]; then touch "$TOP/early-unpacks"; ${wait('half')}; fi
    ${tar} "$@"; status=$?
    touch "$TOP/$BUILD-ended"
    exit $status`,
  );
  expect(await Promise.all([build('early'), build('late')])).toEqual([0, 0]);
  for (const name of ['early', 'late']) expect(readFileSync(join(top, name, 'file'), 'utf8')).toBe('the part');
  expect(readdirSync(join(top, 'packages/.parts'))).toEqual(['part-1.2.3.tgz']);
});
