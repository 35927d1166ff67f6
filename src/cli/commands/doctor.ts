/** `syncmount doctor`: one line per check, and for a failed check the command that repairs it. */
import { constants } from 'node:fs';
import { access, stat, statfs } from 'node:fs/promises';
import { messageOf } from '../../base/errors.js';
import { isPackage } from '../../base/installation.js';
import { silentLog } from '../../base/log.js';
import { shellWord } from '../../base/shell-word.js';
import { requireSqlite } from '../../base/sqlite.js';
import type { StoredAccount } from '../../config/accounts.js';
import { privateDirectory, whyUnwritable } from '../../config/base-directories.js';
import { formatSize } from '../../config/units.js';
import { splitByLife } from '../../mount/control/registry.js';
import { bindings } from '../../mount/session/bindings.js';
import { makeProvider } from '../../mount/session/provider-factory.js';
import { proxyFor, proxyName } from '../../providers/http/transport/proxy.js';
import { defaultEndpoints } from '../../providers/registry.js';
import type { Context } from '../context.js';
import { print } from '../terminal/output.js';

type Verdict = 'ok' | 'warn' | 'FAIL';

/** Warns below this much free disk, bytes: the spool holds whole files until they are uploaded. */
const LITTLE_SPACE = 1024 ** 3;
/** An account that does not answer within this is reported, ms. */
const ACCOUNT_DEADLINE = 8000;

export async function doctorCommand(context: Context): Promise<void> {
  let failures = 0;
  const say = (verdict: Verdict, message: string): void => {
    if (verdict === 'FAIL') failures++;
    print(`${verdict.padEnd(4)}  ${message}`);
  };
  say('ok', `Node.js ${process.versions.node} on ${process.platform} ${process.arch}`);
  checkSqlite(say);
  await checkDevice(say);
  let working = 0;
  for (const binding of bindings) {
    const { ok, message } = await binding.probe();
    if (ok) working++;
    // A package brings only the kernel binding.
    else if (binding.name === 'native' && isPackage) continue;
    say(ok ? 'ok' : 'warn', `${binding.name} binding: ${message}`);
  }
  if (working === 0) say('FAIL', 'no way to mount on this machine; see above for what to install');
  for (const [what, path] of Object.entries(context.places)) await checkDirectory(what, path, say);
  for (const name of context.accounts.names()) await checkAccount(context, name, say);
  if (context.accounts.names().length === 0) say('warn', "no accounts yet: 'syncmount login NAME --provider PROVIDER'");
  for (const { mountpoint } of splitByLife(context.registry.all()).dead) {
    say('warn', `the process of ${mountpoint} has died: 'syncmount umount ${shellWord(mountpoint)}' clears it`);
  }
  if (failures > 0) process.exitCode = 1;
}

function checkSqlite(say: (verdict: Verdict, message: string) => void): void {
  try {
    requireSqlite();
    say('ok', 'better-sqlite3 is built');
  } catch (error) {
    say('FAIL', messageOf(error));
  }
}

async function checkDevice(say: (verdict: Verdict, message: string) => void): Promise<void> {
  if (process.platform !== 'linux') return;
  try {
    await access('/dev/fuse', constants.R_OK | constants.W_OK);
    say('ok', '/dev/fuse can be opened');
  } catch (error) {
    say('FAIL', `/dev/fuse: ${messageOf(error)} ('modprobe fuse' as root loads the module)`);
  }
}

async function checkDirectory(
  what: string,
  path: string,
  say: (verdict: Verdict, message: string) => void,
): Promise<void> {
  try {
    privateDirectory(path);
    const { mode } = await stat(path);
    const { bavail, bsize } = await statfs(path);
    const free = bavail * bsize;
    const unwritable = whyUnwritable(path);
    if (unwritable !== null) {
      // Existing accounts can still be used.
      const consequence =
        what === 'config' ? 'nobody can log in, and renewed logins are lost' : 'nothing can be mounted';
      return say(
        what === 'config' ? 'warn' : 'FAIL',
        `${what} directory cannot be written: ${unwritable}; ${consequence}`,
      );
    }
    const isOpen = (mode & 0o077) !== 0;
    say(isOpen ? 'FAIL' : free < LITTLE_SPACE ? 'warn' : 'ok', `${what} directory ${path}: ${formatSize(free)} free`);
  } catch (error) {
    say('FAIL', `${what} directory: ${messageOf(error)}`);
  }
}

async function checkAccount(
  context: Context,
  name: string,
  say: (verdict: Verdict, message: string) => void,
): Promise<void> {
  try {
    const stored = context.accounts.load(name);
    const options = { deadline: ACCOUNT_DEADLINE, delete: 'trash' } as const;
    const { accounts } = context;
    const { provider: client } = makeProvider(stored, {
      account: name,
      accounts,
      options,
      log: silentLog,
      isBrief: true,
    });
    try {
      const { label, quota } = await client.account();
      const space = quota === null ? '' : `, ${formatSize(quota.free)} free`;
      say('ok', `account ${name}: ${stored.provider}, ${label}${space}${wayTo(stored)}`);
    } finally {
      await client.close();
    }
  } catch (error) {
    say('FAIL', `account ${name}: ${messageOf(error)}`);
  }
}

/** The proxy on the way to the service, as text for the user; empty: there is none. */
function wayTo({ provider, endpoints }: StoredAccount): string {
  const urls = Object.values({ ...defaultEndpoints(provider), ...endpoints });
  const proxies = new Set(
    urls.flatMap((url) => {
      const proxy = proxyFor(new URL(url));
      return proxy === null ? [] : [proxyName(proxy)];
    }),
  );
  return proxies.size === 0 ? '' : `, through ${[...proxies].join(' and ')}`;
}
