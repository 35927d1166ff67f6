/** An upgrade to another version while a mount runs that has contents to upload. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Machine } from './machine.js';

const nextVersion = '99.0.0';

/** Writes the package as one of another version to `path`. */
export function makeNextPackage(deb: string, path: string): void {
  const tree = mkdtempSync(join(tmpdir(), 'syncmount-test-'));
  try {
    execFileSync('dpkg-deb', ['-R', deb, tree]);
    for (const file of ['DEBIAN/control', 'usr/lib/syncmount/package.json']) {
      const text = readFileSync(join(tree, file), 'utf8');
      writeFileSync(join(tree, file), text.replace(/^(Version: |\s*"version": ")[^"\n]*/m, `$1${nextVersion}`));
    }
    execFileSync('dpkg-deb', ['--root-owner-group', '-Zzstd', '-z1', '--build', tree, path], { stdio: 'ignore' });
  } finally {
    rmSync(tree, { recursive: true });
  }
}

/** Of ann's mount, which fstab has: to the other version and back, with the mount of the version before each time. */
export function upgrade(machine: Machine, setBandwidth: (rate: number) => void): void {
  const first = machine.run('syncmount --version');
  // It would take two minutes and a half: longer than apt does on a busy machine.
  setBandwidth(10_000);
  machine.runAs('ann', 'head -c 1500000 /dev/zero > work/pending.bin');
  const told = machine.run('apt-get install -y -q /given/syncmount-next.deb');
  expect(told).toContain('syncmount: still mounted:');
  lookAfter(machine, { serves: first, installed: nextVersion, pending: 'pending.bin' });
  machine.runAs('ann', 'echo upgraded > work/upgraded.txt; cat work/before.txt');
  setBandwidth(0);
  machine.runAs('ann', 'syncmount umount work');
  machine.run('systemctl start home-ann-work.mount');
  expect(machine.runAs('ann', 'cat work/upgraded.txt; stat -c %s work/pending.bin')).toBe('upgraded\n1500000');
  expect(machine.runAs('ann', 'syncmount status work')).not.toContain('VERSION');
  machine.run('apt-get install -y -q --allow-downgrades /given/syncmount.deb');
  lookAfter(machine, { serves: nextVersion, installed: first, pending: 'downgraded.txt' });
  machine.runAs('ann', 'syncmount umount work');
  machine.run('systemctl start home-ann-work.mount');
  expect(machine.runAs('ann', 'cat work/downgraded.txt')).toBe('held');
}

/** Commands of the version that is installed see to a mount that another one serves, with an upload of the file `pending`. */
function lookAfter(machine: Machine, what: { serves: string; installed: string; pending: string }): void {
  const { serves, installed, pending } = what;
  const told = machine.runAs(
    'ann',
    `syncmount --version
    syncmount pause work
    [ -e work/${pending} ] || echo held > work/${pending}
    syncmount status work
    syncmount uploads list work
    syncmount status work --json
    syncmount set work log-level=debug
    syncmount resume work`,
  );
  const [version, ...lines] = told.split('\n');
  expect(version).toBe(installed);
  expect(lines).toContain(
    `  VERSION   ${serves} serves this mount, and ${installed} is installed: unmount it, and mount it again`,
  );
  // Of status, of the list, and of the JSON.
  expect(lines.filter((line) => line.includes(pending)).length).toBeGreaterThanOrEqual(3);
}
