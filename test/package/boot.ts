/**
 * A life under systemd, as docs/install.md tells it: an account in fstab for ann, one of root that is mounted at the first access, and a
 * service of bob, who does not log in. The service (a sandbox, also at 127.0.0.1) comes before the network and goes after it.
 */
import { chmodSync, cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { liveAtLogin, loginWithoutTheService, storeAtLogin } from './login.js';
import { Machine, until, whyNoMachine } from './machine.js';
import { makeNextPackage, upgrade } from './upgrade.js';

const cloud = `[Unit]
Before=network.target network-online.target
[Service]
ExecStart=/usr/lib/syncmount/node /usr/lib/syncmount/bin/syncmount.js sandbox --dir /srv/cloud --port 7000 --json
StandardOutput=file:/srv/cloud.json
[Install]
WantedBy=multi-user.target
`;

const fstab = `work: /home/ann/work syncmount _netdev,nofail,user=ann,write-back 0 0
store: /mnt/store syncmount _netdev,nofail,x-systemd.automount,dir-ttl=1s 0 0
`;

const login = `#!/bin/sh
set -eu
sandbox() { /usr/lib/syncmount/node -e 'const s = JSON.parse(require("fs").readFileSync("/srv/cloud.json")); console.log('"$1"')'; }
sandbox 'JSON.stringify(s.credentials)' |
  syncmount login "$1" --provider 4shared --credentials - $(sandbox 'Object.entries(s.endpoints).map(([k, v]) => "--endpoint " + k + "=" + v).join(" ")')
`;

/** Of bob. A hang is found within 10 s here. */
const unit = 'syncmount@mine.service';

const logrotate = `/home/ann/.local/state/syncmount/log/work.log {
  su ann ann
  rotate 2
  postrotate
    systemctl kill -s HUP home-ann-work.mount
  endscript
}
`;

/** Of a person's mount: everything is stored. */
const untilStored = until(`syncmount status | grep -q 'state .*everything is stored'`);

/** Bob's manager starts beside the system, which does not wait for it. */
const isMounted = until(`systemctl --user is-active -q ${unit}`);

/** The names and sizes of the files at the service, which runs or does not. */
function storedAt(root: string): Record<string, number> {
  const lines = readFileSync(join(root, 'srv/cloud/account.jsonl'), 'utf8').trim().split('\n');
  const put = lines.map((line) => JSON.parse(line).put).filter((object) => object?.kind === 'file');
  return Object.fromEntries(put.map(({ name, size }) => [name, size]));
}

/** Tests with a system in the folder `root()`; `deb()` is the path of the package. Nothing of them is left but what is in the folder. */
export function describeMachine(root: () => string, deb: () => string): void {
  const reason = process.env.PACKAGE_BOOT === '0' ? 'PACKAGE_BOOT=0 leaves it out' : whyNoMachine();
  const name = `which boots with systemd${reason === null ? '' : ` (skipped: ${reason})`}`;
  describe.skipIf(reason !== null)(name, () => {
    let machine: Machine | undefined;

    beforeAll(() => {
      const files = {
        'etc/systemd/logind.conf.d/soon.conf': '[Login]\nUserStopDelaySec=1s\n',
        'etc/systemd/system/cloud.service': cloud,
        'etc/logrotate.d/work': logrotate,
        'usr/local/bin/login-to': login,
      };
      for (const [path, text] of Object.entries(files)) {
        mkdirSync(dirname(join(root(), path)), { recursive: true });
        writeFileSync(join(root(), path), text);
      }
      chmodSync(join(root(), 'usr/local/bin/login-to'), 0o755);
      // It would hold dpkg's lock.
      for (const timer of ['apt-daily', 'apt-daily-upgrade'])
        symlinkSync('/dev/null', join(root(), `etc/systemd/system/${timer}.timer`));
      rmSync(join(root(), 'given'), { recursive: true, force: true });
      mkdirSync(join(root(), 'given'));
      cpSync(deb(), join(root(), 'given/syncmount.deb'));
      makeNextPackage(deb(), join(root(), 'given/syncmount-next.deb'));
      machine = new Machine(root(), `${root()}.log`);
    });
    afterAll(() => machine?.end());

    let isWhole = true;
    /** A boot and what is done in it. The next one goes on where it ends. */
    function boots(what: string, live: (machine: Machine) => void): void {
      it(what, (context) => {
        if (!isWhole || machine === undefined) return context.skip('the boot before has failed');
        isWhole = false;
        try {
          live(machine);
        } catch (error) {
          throw new Error(`${(error as Error).message}\n${machine.report()}`, { cause: error });
        }
        isWhole = true;
      });
    }

    boots(
      'mounts from fstab for a user, at the first access, and as a service; uploads end before the network does',
      (machine) => {
        install(machine);
        liveAtLogin(machine, (rate) => setBandwidth(machine, rate));
        writeSlowly(machine);
        machine.powerOff();
        // umount(8) has waited for it, and systemd for umount(8), before the service went.
        expect(storedAt(root())).toMatchObject({ 'before.txt': 7, 'slow.bin': 1_500_000 });
      },
    );

    boots(
      'mounts while the service is down, starts a mount anew that hangs, and shuts down with uploads pending',
      (machine) => {
        expect(machine.boot()).toBe('running');
        loginWithoutTheService(machine);
        liveWithoutTheService(machine);
        machine.powerOff();
        expect(storedAt(root())).not.toHaveProperty('offline.txt');
        expect(storedAt(root())).not.toHaveProperty('cas-offline.txt');
      },
    );

    boots('stores what the last boot left; a removal of the package leaves mounts whole', (machine) => {
      expect(machine.boot()).toBe('running');
      // Of bob. Not at the end of its time: nobody waited for a service that does not answer.
      const logged = machine.run('journalctl -q -b -1 -o cat -t syncmount _UID=$(id -u bob)');
      expect(logged).toContain('unmounted  mountpoint=/home/bob/cloud left=1');
      expect(logged).not.toContain('the time to stop is over');
      storeAtLogin(machine);
      upgrade(machine, (rate) => setBandwidth(machine, rate));
      removeThePackage(machine);
      machine.powerOff();
      expect(storedAt(root())).toMatchObject({
        'offline.txt': 8,
        'cas-offline.txt': 8,
        'bob.txt': 4,
        'late.txt': 5,
        'removed.txt': 8,
      });
      expect(storedAt(root())).toMatchObject({ 'late.bin': 1_500_000, 'pending.bin': 1_500_000, 'upgraded.txt': 9 });
    });
  });
}

function install(machine: Machine): void {
  expect(machine.boot()).toBe('running');
  machine.run(`
    apt-get install -y -q /given/syncmount.deb
    useradd -m ann
    useradd -m bob
    mkdir -p /mnt/store /srv/cloud
    systemctl daemon-reload
    systemctl enable --now -q cloud
    ${until('[ -s /srv/cloud.json ]')}
    chmod 644 /srv/cloud.json
    login-to store
    loginctl enable-linger bob
    cat >> /etc/fstab <<< '${fstab}'`);
  machine.runAs('ann', 'mkdir work; login-to work');
  machine.run(`
    systemctl daemon-reload
    systemctl start home-ann-work.mount mnt-store.automount`);
  // Twice by its first access: of mount(8), and of a program.
  expect(
    machine.run(`
    for access in 'mount -a' 'ls /mnt/store'; do
      findmnt -r -n -o FSTYPE /mnt/store
      $access
      mount -a
      findmnt -r -n -o SOURCE,FSTYPE /mnt/store
      umount /mnt/store
    done`),
  ).toBe('autofs\nsystemd-1 autofs\nstore: fuse.syncmount\nautofs\nsystemd-1 autofs\nstore: fuse.syncmount');
  machine.runAs(
    'bob',
    `login-to mine
    syncmount service install mine cloud -o write-back,dir-ttl=1s
    mkdir -p ~/.config/systemd/user/${unit}.d
    printf '[Service]\\nWatchdogSec=10s\\nRestartSec=0\\n' > ~/.config/systemd/user/${unit}.d/soon.conf`,
  );
  // Each has a mount of his own, in which he works with his own rights.
  machine.runAs('ann', 'echo before > work/before.txt');
  machine.run(until('ls /mnt/store | grep -q before.txt'));
  expect(machine.runAs('bob', `${until('ls cloud | grep -q before.txt')}; stat -c %U cloud/before.txt`)).toBe('bob');
  expect(
    machine.run(`
    for action in ro rw; do mount -o remount,$action /home/ann/work; findmnt -r -n -o VFS-OPTIONS /home/ann/work; done`),
  ).toBe('ro,nosuid,nodev,relatime\nrw,nosuid,nodev,relatime');
}

/** Of the service's connections, each way, bytes a second; 0: as fast as it can. */
function setBandwidth(machine: Machine, rate: number): void {
  machine.run(`/usr/lib/syncmount/node -e '
    fetch("http://127.0.0.1:7000/_sandbox/settings", { method: "POST", body: JSON.stringify({ bandwidth: ${rate} }) })'`);
}

function writeSlowly(machine: Machine): void {
  setBandwidth(machine, 300_000);
  machine.runAs('ann', 'head -c 1500000 /dev/zero > work/slow.bin');
  // For the next boot.
  machine.run('systemctl disable -q cloud');
}

function liveWithoutTheService(machine: Machine): void {
  expect(machine.runAs('ann', 'cat work/before.txt; echo offline > work/offline.txt')).toBe('before');
  expect(
    machine.runAs(
      'bob',
      `${isMounted}
      ls /mnt/store > /dev/null 2>&1 &
      ls cloud
      echo bob > cloud/bob.txt
      ${until(`systemctl --user show -P StatusText ${unit} | grep -q '4 B left'`)}
      systemctl --user show -P StatusText ${unit}
      kill -STOP $(systemctl --user show -P MainPID ${unit})
      ${until(`! systemctl --user show -P NRestarts ${unit} | grep -qx 0 && systemctl --user is-active -q ${unit}`)}
      cat cloud/bob.txt`,
    ),
  ).toMatch(/^before\.txt\nthe service does not answer \(.*\); 1 file to upload, 4 B left\nbob$/);
  // With its name, and the priority of a warning.
  machine.run(`journalctl -q -t syncmount -p warning --grep='cannot be reached' _UID=$(id -u bob)`);
  expect(
    machine.run(`
      cd /home/ann/.local/state/syncmount/log
      logrotate -f /etc/logrotate.d/work
      ${until('[ -e work.log ]')}
      grep -c '"mounted"' work.log.1
      sh -c 'echo late > /mnt/store/late.txt' > /dev/null 2>&1 &
      systemctl show -P ActiveState home-ann-work.mount mnt-store.automount | xargs`),
  ).toBe('2\nactive active');
  machine.run('systemctl enable -q cloud');
}

function removeThePackage(machine: Machine): void {
  machine.runAs('ann', untilStored);
  machine.runAs('bob', untilStored);
  machine.run(`
    echo late > /mnt/store/late.txt
    apt-get remove -y -q syncmount`);
  machine.runAs('ann', 'echo removed > work/removed.txt');
}
