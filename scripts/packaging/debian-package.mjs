/** syncmount_VERSION_ARCH.deb: the program with a Node.js of its own under /usr/lib/syncmount, for Debian 12, Ubuntu 22.04 and later. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { templateUnit, unitText } from '../../dist/service-unit.cjs';
import { settle } from './files.mjs';
import { asText } from './licences.mjs';
import { root, unpackPart, versionOf } from './parts.mjs';

const debianNames = { x64: 'amd64', arm64: 'arm64' };
const libraries = 'usr/lib/syncmount';
/** The names under which mount(8) and umount(8) call the program. */
const helpers = ['mount.syncmount', 'mount.fuse.syncmount', 'umount.fuse.syncmount'];

/** From the environment, as in Debian's tools. */
const { DEBFULLNAME = 'The syncmount authors', DEBEMAIL = 'syncmount@localhost' } = process.env;
const maintainer = `${DEBFULLNAME} <${DEBEMAIL}>`;

export function buildDebianPackage({ work, program, licences, version, epoch, out, arch }) {
  const tree = join(work, `deb-${arch}`);
  const at = (path) => {
    const full = join(tree, path);
    mkdirSync(dirname(full), { recursive: true });
    return full;
  };
  stageProgram({ program, arch, to: at(libraries) });
  const node = `node-linux-${arch}`;
  unpackPart(node, join(work, node), ['bin/node', 'LICENSE']);
  cpSync(join(work, node, 'bin/node'), at(`${libraries}/node`));

  // The program sees by its name that mount(8) calls it.
  symlinkSync('../lib/syncmount/bin/syncmount.js', at('usr/bin/syncmount'));
  for (const name of helpers) symlinkSync('../lib/syncmount/bin/syncmount.js', at(`usr/sbin/${name}`));

  for (const page of readdirSync(join(root, 'man'))) {
    const section = page.split('.').at(-1);
    writeFileSync(at(`usr/share/man/man${section}/${page}.gz`), compressed(readFileSync(join(root, 'man', page))));
  }
  for (const name of helpers) symlinkSync('syncmount-mount.8.gz', at(`usr/share/man/man8/${name}.8.gz`));
  for (const [file, place] of [
    ['syncmount.bash', 'bash-completion/completions/syncmount'],
    ['_syncmount', 'zsh/vendor-completions/_syncmount'],
    ['syncmount.fish', 'fish/vendor_completions.d/syncmount.fish'],
  ])
    cpSync(join(root, 'completions', file), at(`usr/share/${place}`));

  writeFileSync(at('usr/lib/systemd/user/syncmount@.service'), unitText(templateUnit));

  const documents = 'usr/share/doc/syncmount';
  const all = [
    ...licences,
    { title: `Node.js ${versionOf(node)}`, text: readFileSync(join(work, node, 'LICENSE'), 'utf8') },
  ];
  writeFileSync(at(`${documents}/copyright`), asText(all));
  writeFileSync(at(`${documents}/changelog.gz`), compressed(debianChangelog(version, epoch)));
  writeFileSync(at(`${documents}/CHANGELOG.md.gz`), compressed(readFileSync(join(root, 'CHANGELOG.md'))));
  cpSync(join(root, 'scripts/packaging/lintian-overrides'), at('usr/share/lintian/overrides/syncmount'));
  cpSync(join(root, 'README.md'), at(`${documents}/README.md`));
  cpSync(join(root, 'docs'), at(`${documents}/docs`), { recursive: true });

  stageControl({ tree, version, arch });
  settle(tree, epoch);
  const path = join(out, `syncmount_${version}_${debianNames[arch]}.deb`);
  // zstd: installs in a tenth of the time of xz, and Debian 12 and Ubuntu 22.04 read it. A level above 9 takes ten times as long, and saves
  // a fiftieth.
  execFileSync('dpkg-deb', ['--root-owner-group', '-Zzstd', '-z9', '--build', tree, path], {
    env: { ...process.env, SOURCE_DATE_EPOCH: String(epoch) },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return path;
}

/** The program for one architecture, run by the Node.js beside it. */
function stageProgram({ program, arch, to }) {
  const isOfOther = (path) => /[/\\]prebuilds[/\\]linux-.*\.node$/.test(path) && !path.endsWith(`linux-${arch}.node`);
  cpSync(program, to, { recursive: true, filter: (path) => !isOfOther(path) && !/LICENSES?(\.txt)?$/.test(path) });
  const main = join(to, 'bin/syncmount.js');
  writeFileSync(main, readFileSync(main, 'utf8').replace(/^#!.*/, `#!/${libraries}/node`));
  chmodSync(main, 0o755);
}

function stageControl({ tree, version, arch }) {
  const files = readdirSync(tree, { recursive: true, encoding: 'utf8' })
    .filter((path) => lstatSync(join(tree, path)).isFile())
    .sort();
  const size = files.reduce((sum, path) => sum + Math.ceil(lstatSync(join(tree, path)).size / 1024), 0);
  const control = join(tree, 'DEBIAN');
  cpSync(join(root, 'scripts/packaging/debian'), control, { recursive: true });
  for (const script of readdirSync(control)) chmodSync(join(control, script), 0o755);
  const md5 = (path) =>
    createHash('md5')
      .update(readFileSync(join(tree, path)))
      .digest('hex');
  writeFileSync(join(control, 'md5sums'), files.map((path) => `${md5(path)}  ${path}\n`).join(''));
  writeFileSync(
    join(control, 'control'),
    `Package: syncmount
Version: ${version}
Architecture: ${debianNames[arch]}
Maintainer: ${maintainer}
Installed-Size: ${size}
Section: utils
Priority: optional
Depends: libc6 (>= 2.34), libgcc-s1, libstdc++6 (>= 12), fuse3, mount
Description: mount a cloud account as an ordinary directory
 Mounts a 4shared, 4Sync, 5sync or Acronis File Sync & Share account through
 FUSE. File managers, Unix tools and backup programs use it without knowing
 that it is a network service. Nothing that was saved is dropped.
 .
 Brings its own Node.js ${versionOf(`node-linux-${arch}`)}, which nothing else uses.
`,
  );
}

/** In the format of deb-changelog(5). */
const debianChangelog = (version, epoch) => `syncmount (${version}) unstable; urgency=medium

  * What users notice is in CHANGELOG.md.gz beside this file.

 -- ${maintainer}  ${new Date(epoch * 1000).toUTCString().replace('GMT', '+0000')}
`;

const compressed = (bytes) => gzipSync(bytes, { level: 9 });
