/** syncmount-VERSION.tgz, which npm installs without running, fetching or compiling anything. */
import { execFileSync } from 'node:child_process';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { settle } from './files.mjs';
import { root } from './parts.mjs';

export function buildNpmPackage({ work, program, version, epoch, out }) {
  const folder = join(work, 'npm/package');
  cpSync(program, folder, { recursive: true });
  for (const part of ['README.md', 'CHANGELOG.md', 'SECURITY.md', 'docs', 'man', 'completions'])
    cpSync(join(root, part), join(folder, part), { recursive: true });
  settle(folder, epoch);
  const path = join(out, `syncmount-${version}.tgz`);
  // npm expects everything below package/.
  const tar = ['--sort=name', '--format=ustar', '--owner=0', '--group=0', '--numeric-owner', `--mtime=@${epoch}`];
  execFileSync('sh', ['-c', 'tar "$@" -cf - package | gzip -9n >"$0"', path, ...tar], {
    cwd: join(work, 'npm'),
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return path;
}
