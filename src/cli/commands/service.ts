/** `syncmount service`: mounts that systemd starts, watches and ends. */
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { messageOf, SyncmountError, UsageError } from '../../base/errors.js';
import { programFile } from '../../base/installation.js';
import { requireAccountName } from '../../config/accounts.js';
import { parseDashO, resolveOptions } from '../../config/option-texts.js';
import { loadAddon } from '../../fuse/kernel/addon.js';
import { findProgram, isRoot, run } from '../../fuse/programs.js';
import { type Context, mountpointOf } from '../context.js';
import { print } from '../terminal/output.js';
import { unitText, unitWord } from './service-unit.js';

interface ServiceFlags {
  readonly o: readonly string[];
}

/** The variables that name the directories of accounts and state. */
const placeVariables = ['SYNCMOUNT_CONFIG_DIR', 'SYNCMOUNT_STATE_DIR', 'SYNCMOUNT_CACHE_DIR'];
/** The variables that say how the service is reached. */
const networkVariables = ['HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy', 'NO_PROXY', 'no_proxy'];

export async function serviceCommand(
  context: Context,
  action: string,
  name: string | undefined,
  mountpoint: string | undefined,
  { o }: ServiceFlags,
): Promise<void> {
  if (process.platform !== 'linux') throw new SyncmountError('service', 'services need systemd, and so Linux');
  if (action === 'status') return status(name);
  if (action !== 'install' && action !== 'uninstall')
    throw new UsageError(`service '${action}' is none of install, uninstall, status`);
  if (name === undefined) throw new UsageError(`service ${action} needs the name of an account`);
  requireAccountName(name);
  if (action === 'uninstall') return uninstall(name);
  if (mountpoint === undefined) throw new UsageError('service install needs a mountpoint: NAME MOUNTPOINT');
  return install(context, name, mountpointOf(mountpoint), o);
}

const unitName = (name: string): string => `syncmount@${name}.service`;

function unitFolder(): string {
  if (isRoot()) return '/etc/systemd/system';
  const config = process.env.XDG_CONFIG_HOME;
  return join(config !== undefined && config !== '' ? config : join(homedir(), '.config'), 'systemd/user');
}

const control = (): string => (isRoot() ? 'systemctl' : 'systemctl --user');

async function install(context: Context, name: string, mountpoint: string, o: readonly string[]): Promise<void> {
  context.accounts.load(name);
  resolveOptions(parseDashO(o));
  // Only the addon can tell systemd that the mount is ready.
  loadAddon();
  const folder = unitFolder();
  const path = join(folder, unitName(name));
  const places = setOf(placeVariables).map(([variable, value]) => [variable, resolve(value)] as const);
  const certificates = setOf(['NODE_EXTRA_CA_CERTS']).map(([variable, value]) => [variable, resolve(value)] as const);
  const network = setOf(networkVariables);
  // Everybody may read a unit.
  const secret = network.filter(([, value]) => value.includes('@'));
  const environment = [...places, ...certificates, ...network.filter((each) => !secret.includes(each))];
  const text = unitText({
    name,
    mountpoint: unitWord(mountpoint),
    command: [process.execPath, programFile].map((word) => unitWord(word)),
    options: o.flatMap((list) => ['-o', unitWord(list)]),
    environment: environment.map(([variable, value]) => unitWord(`${variable}=${value}`, false)),
    isSystem: isRoot(),
  });
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(path, text);
    // Everybody can ask systemd for its units anyway, and it warns of a unit file that others may not read.
    chmodSync(path, 0o644);
  } catch (error) {
    throw new SyncmountError('service', `cannot write ${path}: ${messageOf(error)}`, { cause: error });
  }
  print(`${path} is written: ${name}: on ${mountpoint}`);
  for (const [variable] of secret)
    print(
      `${variable} is not in it, because its password would be: ${control()} set-environment, or EnvironmentFile= by ${control()} edit ${unitName(name)}`,
    );
  await systemctl(
    ['daemon-reload'],
    `the unit is written; when systemd runs: ${control()} enable --now ${unitName(name)}`,
  );
  await systemctl(['enable', unitName(name)]);
  await systemctl(['restart', unitName(name)], `see ${control()} status ${unitName(name)}`);
  print(`It is mounted, and will be ${isRoot() ? 'at each boot' : 'whenever you log in'}.`);
  print(`  how it is      syncmount status, ${control()} status ${unitName(name)}`);
  print(`  its log        journalctl ${isRoot() ? '' : '--user '}-u ${unitName(name)}`);
  print(`  the end of it  syncmount service uninstall ${name}`);
  if (!isRoot()) print(`  before login   loginctl enable-linger ${userInfo().username}`);
}

/** The given variables that are set in the environment. */
function setOf(variables: readonly string[]): (readonly [string, string])[] {
  return variables.flatMap((variable) => {
    const value = process.env[variable];
    return value === undefined || value === '' ? [] : [[variable, value] as const];
  });
}

async function uninstall(name: string): Promise<void> {
  const path = join(unitFolder(), unitName(name));
  if (!existsSync(path))
    throw new SyncmountError('service', `there is no ${path}: no service of '${name}' was installed`);
  try {
    await systemctl(['disable', '--now', unitName(name)], 'nothing was removed');
  } catch (error) {
    if (isSystemdRunning()) throw error;
    // In a chroot or a container no unit runs, and systemctl removes the links by itself.
    await systemctl(['disable', unitName(name)], 'nothing was removed');
    rmSync(path);
    return print(`${path} is removed. Account and contents are as they were.`);
  }
  rmSync(path);
  await systemctl(['daemon-reload']);
  print(`${path} is removed, and the mount has ended. Account and contents are as they were.`);
}

/** True if systemd is the init system: sd_booted(3). */
const isSystemdRunning = (): boolean => existsSync('/run/systemd/system');

async function status(name: string | undefined): Promise<void> {
  const wanted = name === undefined ? installed() : [unitName(requireAccountName(name))];
  if (wanted.length === 0) return print('No service is installed.');
  for (const unit of wanted) {
    const { stdout } = await systemctl(['show', '-p', 'ActiveState,UnitFileState,StatusText,Result', unit]);
    const facts = new Map(stdout.split('\n').map((line) => line.split(/=(.*)/s, 2) as [string, string]));
    const result = facts.get('Result');
    const words = [
      facts.get('ActiveState'),
      facts.get('UnitFileState') || 'not enabled',
      ...(result === undefined || result === 'success' ? [] : [result]),
    ];
    print(`${unit}: ${words.join(', ')}${facts.get('StatusText') ? `: ${facts.get('StatusText')}` : ''}`);
  }
}

function installed(): string[] {
  if (!existsSync(unitFolder())) return [];
  return readdirSync(unitFolder()).filter((file) => /^syncmount@[^.].*\.service$/.test(file));
}

/** Throws `SyncmountError` `service` with the reason and the advice. */
async function systemctl(args: readonly string[], advice?: string): Promise<{ readonly stdout: string }> {
  const program = await findProgram('systemctl');
  const { code, message, stdout } =
    program === undefined
      ? { code: 1, message: 'systemctl is not installed', stdout: '' }
      : await run(program, [...(isRoot() ? [] : ['--user']), ...args]);
  if (code === 0) return { stdout };
  const reason = message.split('\n')[0] ?? '';
  throw new SyncmountError('service', `systemd: ${reason}${advice === undefined ? '' : `; ${advice}`}`);
}
