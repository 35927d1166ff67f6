/** Extended attributes (xattr(7)) and ACLs: the allowed names, who sees them, and what else changes with them. */
import { nameBytes } from '../../base/raw-names.js';
import type { Ino } from '../../tree/inode.js';
import type { Caller, XattrChange } from '../api.js';
import { type Core, inodeOf, requireWritable } from '../core/core.js';
import { FsError } from '../core/fs-error.js';
import { accessAclName, defaultAclName, encodeAcl, isExtended, parseAcl, permissionsOf } from './acl.js';
import { attributesOf, touchStatus } from './attributes.js';

/** Linux XATTR_SIZE_MAX. */
const MAX_VALUE_BYTES = 64 * 1024;
/** Linux XATTR_NAME_MAX. */
const MAX_NAME_BYTES = 255;
/** Linux XATTR_LIST_MAX, of all names with a NUL each. The kernel fails every listing that is longer, so `cp -a` of such a file fails. */
const MAX_LIST_BYTES = 64 * 1024;
/**
 * `trusted.` and `security.` are for privileged programs: the kernel checks that before it asks us. It also checks who may change
 * an ACL.
 */
const namespaces = ['user.', 'trusted.', 'security.'] as const;
/** SELinux: see `get`. */
const labelName = 'security.selinux';
const setGroupId = 0o2000;

/** Names that the mount itself answers. They are neither stored nor listed. */
export const computedPrefix = 'user.syncmount.';

/** Attributes whose names begin with `computedPrefix`. */
export interface ComputedXattrs {
  /** Undefined if there is none. */
  get(ino: Ino, name: string): Uint8Array | undefined;
  set(ino: Ino, name: string, value: Uint8Array, change: Pick<XattrChange, 'mode'>): void;
  remove(ino: Ino, name: string): void;
}

const noLabels = new FsError('ENOTSUP', 'no file has a label');

export class Xattrs {
  readonly #core: Core;
  readonly #computed: ComputedXattrs;

  constructor(core: Core, computed: ComputedXattrs) {
    this.#core = core;
    this.#computed = computed;
  }

  /** Undefined if there is none. */
  get(ino: Ino, name: string): Uint8Array | undefined {
    requireSupported(name);
    if (name.startsWith(computedPrefix)) return this.#computed.get(ino, name);
    const { xattrs } = this.#core.table;
    // `ls -l` asks for the label of each file. After ENOTSUP it stops asking, and on most machines nothing has a label.
    if (name === labelName && !xattrs.hasLabels()) throw noLabels;
    return xattrs.get(ino, name);
  }

  /** Sets an attribute. An access ACL changes the mode with it. Moves ctime. */
  set(ino: Ino, name: string, value: Uint8Array, { mode, killSetGroupId }: XattrChange): void {
    if (name.startsWith(computedPrefix)) {
      this.#computed.set(ino, name, value, { mode });
      return;
    }
    requireWritable(this.#core);
    const inode = inodeOf(this.#core, ino);
    requireSupported(name);
    if (value.length > MAX_VALUE_BYTES) throw new FsError('E2BIG', 'the value is over 64 KiB');
    const { table } = this.#core;
    const exists = table.xattrs.get(ino, name) !== undefined;
    if (exists && mode === 'create') throw new FsError('EEXIST', `attribute ${name} exists`);
    if (!exists && mode === 'replace') throw new FsError('ENODATA', `no attribute ${name}`);
    if (!exists && listBytes([...table.xattrs.names(ino), name]) > MAX_LIST_BYTES)
      throw new FsError('ENOSPC', 'the names of all attributes are over 64 KiB');
    table.transaction(() => {
      if (name === accessAclName) this.#setAccessAcl(ino, value, killSetGroupId === true);
      else if (name === defaultAclName) this.#setDefaultAcl(ino, value, inode.kind === 'directory');
      else table.xattrs.set(ino, name, value);
      touchStatus(this.#core, ino);
    });
  }

  #setAccessAcl(ino: Ino, value: Uint8Array, killSetGroupId: boolean): void {
    const { table } = this.#core;
    const acl = parseAcl(value);
    if (acl.length === 0) {
      table.xattrs.remove(ino, accessAclName);
      return;
    }
    // An ACL that says no more than a mode is kept as the mode alone.
    if (isExtended(acl)) table.xattrs.set(ino, accessAclName, encodeAcl(acl));
    else table.xattrs.remove(ino, accessAclName);
    const before = attributesOf(inodeOf(this.#core, ino), this.#core.options).mode;
    const special = before & ~0o777 & (killSetGroupId ? ~setGroupId : ~0);
    table.updateOverlay(ino, { mode: special | permissionsOf(acl) });
  }

  #setDefaultAcl(ino: Ino, value: Uint8Array, isDirectory: boolean): void {
    const { xattrs } = this.#core.table;
    const acl = parseAcl(value);
    if (!isDirectory) throw new FsError('EACCES', 'only a directory has a default ACL');
    if (acl.length === 0) xattrs.remove(ino, defaultAclName);
    else xattrs.set(ino, defaultAclName, encodeAcl(acl));
  }

  /** The names, without those of `trusted.` unless root asks: xattr(7). */
  list(ino: Ino, caller?: Caller): string[] {
    const names = this.#core.table.xattrs.names(ino).filter((name) => !name.startsWith(computedPrefix));
    return caller?.uid === 0 ? names : names.filter((name) => !name.startsWith('trusted.'));
  }

  /** Moves ctime. ENODATA if there is none, unless it is an ACL. */
  remove(ino: Ino, name: string): void {
    if (name.startsWith(computedPrefix)) {
      this.#computed.remove(ino, name);
      return;
    }
    requireWritable(this.#core);
    requireSupported(name);
    const { table } = this.#core;
    const exists = table.xattrs.get(ino, name) !== undefined;
    if (!exists && !isAcl(name)) throw new FsError('ENODATA', `no attribute ${name}`);
    if (!exists) return;
    table.transaction(() => {
      table.xattrs.remove(ino, name);
      touchStatus(this.#core, ino);
    });
  }
}

function listBytes(names: readonly string[]): number {
  return names.reduce((sum, name) => sum + nameBytes(name) + 1, 0);
}

function isAcl(name: string): boolean {
  return name === accessAclName || name === defaultAclName;
}

/** ENOTSUP for a name of no known namespace, EINVAL for one that is a namespace alone, ERANGE for one over 255 bytes. */
function requireSupported(name: string): void {
  if (nameBytes(name) > MAX_NAME_BYTES) throw new FsError('ERANGE', 'the name of the attribute is over 255 bytes');
  if (isAcl(name)) return;
  const namespace = namespaces.find((prefix) => name.startsWith(prefix));
  if (namespace === undefined) throw new FsError('ENOTSUP', `attributes like ${name} are not kept`);
  if (name === namespace) throw new FsError('EINVAL', 'an attribute without a name');
}
