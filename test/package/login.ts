/**
 * The template of the package, `syncmount@.service`, for somebody who does not linger: pam_systemd(8) starts his systemd with his first
 * login, and ends it with the last logout.
 */
import { expect } from 'vitest';
import { type Machine, until } from './machine.js';

const unit = 'syncmount@files.service';

/** Each call is a session of its own, from login to logout. */
function session(machine: Machine, script: string): string {
  return machine.run(`exec su -l cas -c 'set -e; ${script.replaceAll("'", "'\\''")}'`);
}

/** logind lets his systemd run on for `UserStopDelaySec`, for whoever comes back. */
function waitForLogout(machine: Machine): void {
  machine.run(`${until('systemctl show -P ActiveState user@$(id -u cas) | grep -qx inactive')}
    ! findmnt /home/cas/files`);
}

/** `setBandwidth`: of the service, bytes a second. */
export function liveAtLogin(machine: Machine, setBandwidth: (rate: number) => void): void {
  machine.run('useradd -m -s /bin/bash cas');
  session(
    machine,
    `login-to files
    systemctl --user enable --now -q ${unit}
    echo cas > files/cas.txt`,
  );
  waitForLogout(machine);

  // The stop has an end, and keeps what is not stored.
  expect(
    session(
      machine,
      `${until('grep -q cas files/cas.txt')}
      systemctl --user show -P StatusText ${unit}
      mkdir -p .config/systemd/user/${unit}.d
      printf '[Service]\\nExecStart=\\nExecStart=/usr/bin/syncmount mount %%i: %%h/%%i --foreground --write-back --stop-timeout 2s\\n' > .config/systemd/user/${unit}.d/options.conf
      systemctl --user daemon-reload
      systemctl --user restart ${unit}`,
    ),
  ).toBe('everything is stored');
  waitForLogout(machine);
  setBandwidth(100_000);
  expect(
    session(
      machine,
      `${until('grep -q cas files/cas.txt')}
      head -c 1500000 /dev/zero > files/late.bin
      start=$(date +%s)
      systemctl --user stop ${unit}
      [ $(($(date +%s) - start)) -lt 12 ]
      journalctl --user -q -o cat -t syncmount -n 2
      systemctl --user show -P Result ${unit}`,
    ),
  ).toMatch(/^the time to stop is over; .*\nunmounted .* left=1\nsuccess$/);
  setBandwidth(0);
  waitForLogout(machine);
  storeAtLogin(machine);
}

/** At login while the service is down. The mount shows what was there, and goes on after the signal that logrotate(8) sends. */
export function loginWithoutTheService(machine: Machine): void {
  expect(
    session(
      machine,
      `${until('grep -q cas files/cas.txt')}
      echo offline > files/cas-offline.txt
      process=$(systemctl --user show -P MainPID ${unit})
      systemctl --user kill -s HUP ${unit}
      cat files/cas-offline.txt
      ${until(`systemctl --user show -P StatusText ${unit} | grep -q 'to upload'`)}
      [ "$process" = $(systemctl --user show -P MainPID ${unit}) ]`,
    ),
  ).toBe('offline');
  waitForLogout(machine);
}

/** At the first login after it: stores what waits. */
export function storeAtLogin(machine: Machine): void {
  session(machine, until(`syncmount status files | grep -q 'state .*everything is stored'`));
  waitForLogout(machine);
}
